import { uniformCollapse, verdict } from '../diagnose/index.js';
import { evalSplit } from '../eval/index.js';
import { recipes } from '../ssl/index.js';
import type { ChosenDevice, Tensor } from '../tensor/index.js';
import { checkConfig } from './check-config.js';
import { type Checkpoint, newestCheckpoint, writeCheckpoint } from './checkpoint.js';
import { Clock } from './clock.js';
import { lasting, type TrainConfig } from './config.js';
import type { DiagnosisEvent, EndEvent, StepEvent, TrainEvent } from './events.js';
import { FiniteLosses } from './finite-losses.js';
import { changesOf, imagesOf, type RunImages } from './images.js';
import { inspectRun, type JudgedRun, knnOfRun } from './judging.js';
import { loaderOf, stepsOf, testData, trainingData } from './loading.js';
import { diagnosisMetrics, stepMetrics } from './metric-lines.js';
import { startMixtures } from './mixture-start.js';
import { freshMethod, restoredMethod } from './model.js';
import { takeDevice } from './run-device.js';
import { type OpenRunOptions, RunFolder } from './run-folder.js';
import { writeTrainReport } from './run-report.js';
import { schedulesOf } from './schedules.js';
import { StepQueue } from './step-queue.js';
import { meanResult, type StepResult, TrainingStep } from './training-step.js';

export interface RunOptions {
  /** Stops after the step at hand, with a checkpoint. */
  signal?: AbortSignal;
}

/** What a run is made of, opened and restored. */
interface OpenRun extends JudgedRun {
  folder: RunFolder;
  steps: number;
  checkpoint: Checkpoint | undefined;
  images: RunImages;
  /** Told with the next events. */
  warnings: string[];
  device: ChosenDevice;
}

/**
 * A run: opens or goes on with a folder, and trains in it as an iterable of events. A resumed run ends
 * with the same bytes as one that was never interrupted.
 */
export class Trainer {
  private done: number;
  private readonly finite: FiniteLosses;
  /** The checkpoint on disk. */
  private newest: { path: string; step: number };
  private last: StepResult | undefined;
  /** Results since the last step event. */
  private window: StepResult[] = [];
  private readonly queue = new StepQueue();
  private readonly clock = new Clock();

  private constructor(private readonly opened: OpenRun) {
    const { checkpoint } = opened;
    this.done = checkpoint?.meta.step ?? 0;
    this.finite = new FiniteLosses(checkpoint?.meta.nonFinite ?? 0);
    this.newest = { path: checkpoint?.path ?? '', step: this.done };
  }

  get config(): TrainConfig {
    return this.opened.config;
  }
  get folder(): RunFolder {
    return this.opened.folder;
  }
  /** Of the whole run. */
  get steps(): number {
    return this.opened.steps;
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
    const test = await testData(config.data);
    const warnings = [...dataset.warnings, ...(test?.warnings ?? [])];
    const warn = (message: string) => warnings.push(message);
    const loader = loaderOf(config, dataset, device.device, warn);
    const split = evalSplit(dataset, test, config.eval.maxImages, {
      train: loader.cache,
      onWarning: warn,
    });
    const steps = stepsOf(config, loader.stepsPerEpoch);
    const schedules = schedulesOf(config, steps);
    const folder = await RunFolder.open(out, config, options);
    try {
      const checkpoint = await newestCheckpoint(folder.checkpoints, warn);
      const images = imagesOf(dataset);
      warnings.push(...changesOf(checkpoint?.meta.images, images));
      const state = checkpoint ? restoredMethod(config, checkpoint) : freshMethod(config);
      if (!checkpoint) await startMixtures(state.method, config, loader.cache);
      await folder.rewindMetrics(checkpoint?.meta.step ?? 0);
      const training = new TrainingStep(config, state, schedules);
      return new Trainer({
        config,
        folder,
        dataset,
        split,
        loader,
        steps,
        schedules,
        training,
        checkpoint,
        images,
        warnings,
        device,
      });
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  /** All tensors that a checkpoint holds. */
  private stateByPrefix(): Map<string, Map<string, Tensor>> {
    const { method } = this.opened.training;
    return new Map([
      ['student.', method.student.parameters],
      ['teacher.', method.teacher.parameters],
      ['optimiser.', this.opened.training.optimiserState()],
      ['', new Map(method.state)],
    ]);
  }

  /** Trains to the end, or until `signal`; yields what happens. The last event is "end". */
  async *run({ signal }: RunOptions = {}): AsyncGenerator<TrainEvent, EndEvent> {
    yield this.startEvent();
    try {
      yield* this.train(signal);
    } catch (error) {
      yield* this.heldWarnings(); // they may say why
      throw error;
    } finally {
      await this.queue.settled();
    }
    if (this.done > this.newest.step) yield await this.checkpoint();
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
    const batch = await this.clock.wait(this.opened.loader.batch(step, this.steps - 1));
    this.queue.add(this.opened.training.run(step, batch));
  }

  private *heldWarnings(): Generator<TrainEvent> {
    for (const message of this.opened.warnings.splice(0)) yield { event: 'warning', message };
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
    const parameters = [...this.opened.training.method.student.parameters.values()];
    return {
      event: 'start',
      out: this.folder.path,
      images: this.opened.dataset.samples.length,
      step: this.done,
      steps: this.steps,
      parameters: parameters.reduce((sum, p) => sum + p.size, 0),
      device: this.opened.device,
    };
  }

  private async log(step: number): Promise<StepEvent> {
    const event: StepEvent = {
      event: 'step',
      step: this.done,
      steps: this.steps,
      epoch: step / this.opened.loader.stepsPerEpoch,
      ...meanResult(this.window.splice(0)),
      lr: this.opened.schedules.lr(step),
      weightDecay: this.opened.schedules.weightDecay(step),
      momentum: this.opened.schedules.momentum(step),
      teacherTemperature: this.opened.schedules.teacherTemperature(step),
      ...this.clock.lap(),
    };
    await this.folder.appendMetrics(stepMetrics(event));
    return event;
  }

  private async diagnose(): Promise<DiagnosisEvent> {
    const { teacher, studentUnique, mlcd, others } = await inspectRun(this.opened, this.done);
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

  private async checkpoint(): Promise<TrainEvent> {
    const tensors = new Map<string, Tensor>();
    for (const [prefix, group] of this.stateByPrefix())
      for (const [name, value] of group) tensors.set(prefix + name, value);
    const path = await writeCheckpoint(
      this.folder.checkpoints,
      tensors,
      {
        format: 'protea-1',
        step: this.done,
        optimiserSteps: this.opened.training.steps,
        config: lasting(this.config),
        nonFinite: this.finite.missed,
        images: this.opened.images,
      },
      this.config.run.keep,
    );
    this.newest = { path, step: this.done };
    return { event: 'checkpoint', step: this.done, path };
  }

  private async end(): Promise<EndEvent> {
    const imagesPerSecond = this.clock.overall;
    const complete = this.done === this.steps;
    const { teacher, mlcd, others } = await inspectRun(this.opened, this.done);
    const event: EndEvent = {
      event: 'end',
      checkpoint: this.newest.path,
      steps: this.done,
      imagesPerSecond,
      prototypes: { ...teacher, of: 'teacher' },
      mlcd,
      others,
      knn: complete ? await knnOfRun(this.opened) : null,
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
