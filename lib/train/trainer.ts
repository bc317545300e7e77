import { type CropLoader, type Dataset, openData, spreadRows } from '../data/index.js';
import { uniformCollapse, verdict } from '../diagnose/index.js';
import { evalSplit, judged, type KnnReport, knnOf, networkFeatures } from '../eval/index.js';
import { recipes } from '../ssl/index.js';
import type { ChosenDevice, Tensor } from '../tensor/index.js';
import { checkConfig } from './check-config.js';
import { type Checkpoint, newestCheckpoint, writeCheckpoint } from './checkpoint.js';
import { Clock } from './clock.js';
import { lasting, type TrainConfig } from './config.js';
import type { DiagnosisEvent, EndEvent, StepEvent, TrainEvent } from './events.js';
import { FiniteLosses } from './finite-losses.js';
import { type Inspection, inspect } from './inspect.js';
import { loaderOf, stepsOf, trainingData } from './loading.js';
import { diagnosisMetrics, stepMetrics } from './metric-lines.js';
import { startMixtures } from './mixture-start.js';
import { featureOptions, freshMethod, restoredMethod } from './model.js';
import { takeDevice } from './run-device.js';
import { type OpenRunOptions, RunFolder } from './run-folder.js';
import { writeTrainReport } from './run-report.js';
import { type Schedules, schedulesOf } from './schedules.js';
import { StepQueue } from './step-queue.js';
import { meanResult, type StepResult, TrainingStep } from './training-step.js';

/** Images over which assignments are averaged in a diagnosis. */
const inspectedImages = 512;

export interface RunOptions {
  /** Stops after the step at hand, with a checkpoint. */
  signal?: AbortSignal;
}

/**
 * A run: opens or goes on with a folder, and trains in it as an iterable of events. A resumed run ends
 * with the same bytes as one that was never interrupted.
 */
export class Trainer {
  private done: number;
  private readonly finite: FiniteLosses;
  private newest: string;
  private last: StepResult | undefined;
  /** Results since the last step event. */
  private window: StepResult[] = [];
  private readonly queue = new StepQueue();
  private readonly clock = new Clock();

  private constructor(
    readonly config: TrainConfig,
    readonly folder: RunFolder,
    private readonly dataset: Dataset,
    private readonly loader: CropLoader,
    readonly steps: number,
    private readonly schedules: Schedules,
    private readonly training: TrainingStep,
    checkpoint: Checkpoint | undefined,
    private readonly warnings: string[],
    private readonly device: ChosenDevice,
  ) {
    this.done = checkpoint?.meta.step ?? 0;
    this.finite = new FiniteLosses(checkpoint?.meta.nonFinite ?? 0);
    this.newest = checkpoint?.path ?? '';
  }

  /**
   * Opens the data and the run's folder and restores its newest checkpoint, if any. From here on new
   * tensors of this process go to the run's device.
   * @throws ERR_PROTEA_CONFIG, ERR_PROTEA_DATA, ERR_PROTEA_RUN_LOCKED, ERR_PROTEA_BACKEND_UNAVAILABLE
   */
  static async open(
    config: TrainConfig,
    out: string,
    options: OpenRunOptions = {},
  ): Promise<Trainer> {
    checkConfig(config);
    const device = takeDevice(config);
    const dataset = await trainingData(config.data);
    const warnings = [...dataset.warnings];
    const warn = (message: string) => warnings.push(message);
    const loader = loaderOf(config, dataset, device.device, warn);
    const steps = stepsOf(config, loader.stepsPerEpoch);
    const schedules = schedulesOf(config, steps);
    const folder = await RunFolder.open(out, config, options);
    try {
      const checkpoint = await newestCheckpoint(folder.checkpoints, warn);
      const state = checkpoint ? restoredMethod(config, checkpoint) : freshMethod(config);
      if (!checkpoint) await startMixtures(state.method, config, loader.cache);
      await folder.rewindMetrics(checkpoint?.meta.step ?? 0);
      const training = new TrainingStep(config, state, schedules);
      return new Trainer(
        config,
        folder,
        dataset,
        loader,
        steps,
        schedules,
        training,
        checkpoint,
        warnings,
        device,
      );
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  /** All tensors that a checkpoint holds. */
  private stateByPrefix(): Map<string, Map<string, Tensor>> {
    const { method } = this.training;
    return new Map([
      ['student.', method.student.parameters],
      ['teacher.', method.teacher.parameters],
      ['optimiser.', this.training.optimiserState()],
      ['', new Map(method.state)],
    ]);
  }

  /** Trains to the end, or until `signal`; yields what happens. The last event is "end". */
  async *run({ signal }: RunOptions = {}): AsyncGenerator<TrainEvent, EndEvent> {
    yield this.startEvent();
    try {
      yield* this.train(signal);
    } finally {
      await this.queue.settled();
    }
    if (this.done > 0 && !this.isCheckpointed()) yield await this.checkpoint();
    yield* this.heldWarnings();
    const end = await this.end();
    yield end;
    return end;
  }

  private async *train(signal: AbortSignal | undefined): AsyncGenerator<TrainEvent> {
    while (this.queue.length || (this.done < this.steps && !signal?.aborted)) {
      const step = this.done;
      if (!this.queue.length) await this.queueStep();
      // The device goes on while a result is read, unless the state is looked at in between.
      if (!signal?.aborted && !this.hasEvent(step + 1)) await this.queueStep();
      this.last = await this.queue.next();
      this.window.push(this.last);
      this.done = step + 1;
      this.clock.add(this.config.optim.batch);
      yield* this.heldWarnings();
      this.finite.check(step, this.last);
      yield* this.afterStep(step);
    }
  }

  private async queueStep(): Promise<void> {
    const step = this.done + this.queue.length;
    const batch = await this.clock.wait(this.loader.batch(step, this.steps - 1));
    this.queue.add(this.training.run(step, batch));
  }

  private *heldWarnings(): Generator<TrainEvent> {
    for (const message of this.warnings.splice(0)) yield { event: 'warning', message };
  }

  private isLogged(done: number): boolean {
    return done % this.config.run.logEvery === 0 || done === 1 || done === this.steps;
  }

  /** Whether somebody is told of, or reads, the state after `done` steps. */
  private hasEvent(done: number): boolean {
    const { diagnoseEvery, checkpointEvery } = this.config.run;
    return this.isLogged(done) || done % diagnoseEvery === 0 || done % checkpointEvery === 0;
  }

  private async *afterStep(step: number): AsyncGenerator<TrainEvent> {
    const { diagnoseEvery, checkpointEvery } = this.config.run;
    const isLast = this.done === this.steps;
    if (this.isLogged(this.done)) yield await this.log(step);
    if (this.done % diagnoseEvery === 0 && !isLast) yield await this.diagnose();
    if (this.done % checkpointEvery === 0 || isLast) yield await this.checkpoint();
  }

  private startEvent(): TrainEvent {
    const parameters = [...this.training.method.student.parameters.values()];
    return {
      event: 'start',
      out: this.folder.path,
      images: this.dataset.samples.length,
      step: this.done,
      steps: this.steps,
      parameters: parameters.reduce((sum, p) => sum + p.size, 0),
      device: this.device,
    };
  }

  private async log(step: number): Promise<StepEvent> {
    const event: StepEvent = {
      event: 'step',
      step: this.done,
      steps: this.steps,
      epoch: step / this.loader.stepsPerEpoch,
      ...meanResult(this.window.splice(0)),
      lr: this.schedules.lr(step),
      weightDecay: this.schedules.weightDecay(step),
      momentum: this.schedules.momentum(step),
      teacherTemperature: this.schedules.teacherTemperature(step),
      ...this.clock.lap(),
    };
    await this.folder.appendMetrics(stepMetrics(event));
    return event;
  }

  private inspection(): Promise<Inspection> {
    const { data, crops, run, method } = this.config;
    const { teacherTemperature, patchTemperature } = this.schedules;
    const temperature =
      recipes[method].main.tokens === 'cls' ? teacherTemperature : patchTemperature;
    return inspect(this.training.method, {
      epsilon: run.epsilon,
      teacherTemperature: temperature(Math.max(0, this.done - 1)),
      cache: this.loader.cache,
      rows: spreadRows(this.dataset.samples.length, inspectedImages),
      size: crops.globalSize,
      normalisation: data,
    });
  }

  private async diagnose(): Promise<DiagnosisEvent> {
    const { teacher, studentUnique, mlcd, others } = await this.inspection();
    const loss = this.last?.losses[recipes[this.config.method].main.loss] ?? Number.NaN;
    const event: DiagnosisEvent = {
      event: 'diagnosis',
      step: this.done,
      prototypes: { ...teacher, of: 'teacher' },
      studentUnique,
      mlcd,
      others,
      loss,
      losses: this.last?.losses ?? {},
      verdict: verdict(teacher),
      uniformCollapse: uniformCollapse(loss, teacher.total),
    };
    await this.folder.appendMetrics(diagnosisMetrics(event));
    return event;
  }

  private isCheckpointed(): boolean {
    return this.newest.includes(`step-${String(this.done).padStart(8, '0')}.`);
  }

  private async checkpoint(): Promise<TrainEvent> {
    const tensors = new Map<string, Tensor>();
    for (const [prefix, group] of this.stateByPrefix())
      for (const [name, value] of group) tensors.set(prefix + name, value);
    this.newest = await writeCheckpoint(
      this.folder.checkpoints,
      tensors,
      {
        format: 'protea-1',
        step: this.done,
        optimiserSteps: this.training.steps,
        config: lasting(this.config),
        nonFinite: this.finite.missed,
      },
      this.config.run.keep,
    );
    return { event: 'checkpoint', step: this.done, path: this.newest };
  }

  private async knn(): Promise<KnnReport | null> {
    const { data, eval: options } = this.config;
    const test = data.test ? await openData(data.test) : undefined;
    const split = evalSplit(this.dataset, test, options.maxImages, { train: this.loader.cache });
    if (!split) return null;
    const { backbone } = this.training.method.teacher;
    const features = await networkFeatures(backbone, split, featureOptions(this.config));
    return judged(features, (made) => knnOf(made, { k: options.k }));
  }

  private async end(): Promise<EndEvent> {
    const imagesPerSecond = this.clock.overall;
    const complete = this.done === this.steps;
    const { teacher, mlcd, others } = await this.inspection();
    const event: EndEvent = {
      event: 'end',
      checkpoint: this.newest,
      steps: this.done,
      imagesPerSecond,
      prototypes: { ...teacher, of: 'teacher' },
      mlcd,
      others,
      knn: complete ? await this.knn() : null,
      report: this.folder.report,
      complete,
    };
    await writeTrainReport(this.folder, this.config, event);
    return event;
  }

  /** Gives the run's folder back. */
  async close(): Promise<void> {
    await this.folder.close();
  }
}
