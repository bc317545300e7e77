import {
  findUnique,
  type MlcdReport,
  mlcdReport,
  reportOf,
  type UniqueReport,
} from '../diagnose/index.js';
import { AdamW, cosine } from '../nn/index.js';
import {
  dinoLoss,
  koleoProto,
  MixturePrototypes,
  meMaxOf,
  type Targets,
  targetsOf,
} from '../ssl/index.js';
import {
  backward,
  prototypeMarginal,
  scope,
  type Tensor,
  watch,
  weightedSum,
} from '../tensor/index.js';
import { Mixture } from './mixture.js';
import { LabNetwork } from './network.js';
import { type LabName, type LabRunSetting, labRuns, mixtureOptions, setting } from './setting.js';

/** One look at a run. */
export interface LabPoint {
  step: number;
  /** DINO loss, averaged since the last look. */
  loss: number;
  unique: number;
}

export interface LabResult {
  name: LabName;
  /** DINO loss averaged over the last steps. */
  loss: number;
  prototypes: UniqueReport;
  mlcd: MlcdReport;
  /** Prototype directions (K, P) of the student at the end. */
  directions: Float32Array;
  /** Which unique prototype each belongs to (K). */
  group: Int32Array;
}

/** One run of the laboratory: a student, its EMA teacher and their centre. */
export class Experiment {
  private readonly student: LabNetwork;
  private readonly teacher: LabNetwork;
  private readonly own: LabRunSetting;
  private readonly targets: Targets;
  private readonly prototypes: MixturePrototypes | undefined;
  private readonly optimiser: AdamW;
  private readonly mixture: Mixture;

  constructor(
    readonly name: LabName,
    seed: number,
    private readonly steps: number = setting.steps,
  ) {
    const { prototypes: K, bottleneck, centerMomentum } = setting;
    this.own = labRuns[name];
    this.targets = targetsOf(this.own.targets, K, centerMomentum);
    this.prototypes = this.own.mixture
      ? MixturePrototypes.fresh(K, bottleneck, seed, 0, mixtureOptions)
      : undefined;
    this.student = LabNetwork.fresh(seed, this.prototypes?.means);
    this.teacher = LabNetwork.fresh(seed, this.prototypes?.means);
    this.mixture = new Mixture(seed);
    for (const p of this.student.parameters.values()) watch(p);
    this.optimiser = new AdamW(this.student.parameters, this.teacher.parameters, {
      clipMode: 'none',
      decayAll: true,
    });
  }

  /** Trains to the end; `onPoint` is told of each look. */
  async run(onPoint: (point: LabPoint) => void): Promise<LabResult> {
    const { every, averaged } = setting;
    const tail: number[] = [];
    let held: Tensor[] = [];
    for (let step = 0; step < this.steps; step++) {
      held.push(this.step(step));
      if (held.length < every && step + 1 < this.steps) continue;
      const losses = await Promise.all(held.map((loss) => loss.item()));
      for (const loss of held) loss.dispose();
      held = [];
      tail.push(...losses);
      const { unique } = await this.count();
      onPoint({ step: step + 1, loss: mean(losses), unique });
    }
    return this.result(mean(tail.slice(-averaged)));
  }

  private count() {
    return findUnique(this.student.directions, { epsilon: setting.epsilon });
  }

  private teacherSide(views: Tensor) {
    const temperature = setting.teacherTemperature;
    const z = this.teacher.bottleneck(views);
    return { z, prototypes: this.teacher.prototypes(), temperature };
  }

  /** One update; its DINO loss is queued, not awaited. */
  private step(step: number): Tensor {
    const { lr, warmup, weightDecay, momentum, studentTemperature } = setting;
    const total = this.steps;
    return scope(() => {
      const views = this.mixture.views(step);
      const teacher = this.teacherSide(views);
      const student = {
        z: this.student.bottleneck(views),
        prototypes: this.student.prototypes(),
        temperature: studentTemperature,
        views: 2,
      };
      const bias = this.targets.bias(teacher);
      const dino = dinoLoss(student, { ...teacher, bias, views: 2 });
      const names = [...this.student.parameters.keys()];
      const found = backward(this.regularised(dino, student), [
        ...this.student.parameters.values(),
      ]);
      this.optimiser.step(new Map(names.map((name, i) => [name, found[i]])), {
        lr: cosine({ base: lr, final: 0, total, warmup })(step),
        weightDecay,
        clip: 0,
        momentum: cosine({ base: momentum, final: 1, total })(step),
      });
      this.targets.update(teacher);
      this.prototypes?.update(teacher.z, 1, dino);
      return dino;
    });
  }

  private regularised(dino: Tensor, student: Parameters<typeof meMaxOf>[0]): Tensor {
    const { koleoProto: spread, meMax } = this.own;
    if (spread > 0) return weightedSum([dino, koleoProto(this.student.directions)], [1, spread]);
    return meMax > 0 ? weightedSum([dino, meMaxOf(student)], [1, meMax]) : dino;
  }

  private async result(loss: number): Promise<LabResult> {
    const groups = await this.count();
    const marginal = scope(() => {
      const rows = this.teacherSide(this.mixture.views(this.steps));
      // A batch that is balanced by itself says nothing of the marginal.
      const bias = this.targets.ofBatch ? undefined : this.targets.bias(rows);
      return prototypeMarginal({ ...rows, bias });
    });
    const directions = (await this.student.prototypes().read()) as Float32Array;
    return {
      name: this.name,
      loss,
      prototypes: reportOf(groups),
      mlcd: mlcdReport(await marginal.read(), groups.group, groups.unique),
      directions,
      group: groups.group,
    };
  }
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
