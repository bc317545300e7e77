import {
  findUnique,
  type MlcdReport,
  mlcdReport,
  reportOf,
  type UniqueReport,
} from '../diagnose/index.js';
import { AdamW, cosine } from '../nn/index.js';
import { dinoLoss, koleoProto, LogitCentering } from '../ssl/index.js';
import {
  backward,
  prototypeMarginal,
  scope,
  type Tensor,
  watch,
  weightedSum,
  zeros,
} from '../tensor/index.js';
import { Mixture } from './mixture.js';
import { LabNetwork } from './network.js';
import { koleoProtoWeight, type LabName, setting } from './setting.js';

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
  private readonly centering = new LogitCentering(
    zeros([setting.prototypes]),
    setting.centerMomentum,
  );
  private readonly optimiser: AdamW;
  private readonly mixture: Mixture;

  constructor(
    readonly name: LabName,
    seed: number,
    private readonly steps: number = setting.steps,
  ) {
    this.student = LabNetwork.fresh(seed);
    this.teacher = LabNetwork.fresh(seed);
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
    return {
      z: this.teacher.bottleneck(views),
      prototypes: this.teacher.prototypes(),
      bias: this.centering.bias({ temperature }),
      temperature,
      views: 2,
    };
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
      const dino = dinoLoss(student, teacher);
      const names = [...this.student.parameters.keys()];
      const found = backward(this.regularised(dino), [...this.student.parameters.values()]);
      this.optimiser.step(new Map(names.map((name, i) => [name, found[i]])), {
        lr: cosine({ base: lr, final: 0, total, warmup })(step),
        weightDecay,
        clip: 0,
        momentum: cosine({ base: momentum, final: 1, total })(step),
      });
      this.centering.update({ ...teacher, bias: undefined });
      return dino;
    });
  }

  private regularised(dino: Tensor): Tensor {
    const weight = koleoProtoWeight[this.name];
    if (weight === 0) return dino;
    return weightedSum([dino, koleoProto(this.student.directions)], [1, weight]);
  }

  private async result(loss: number): Promise<LabResult> {
    const groups = await this.count();
    const marginal = scope(() =>
      prototypeMarginal(this.teacherSide(this.mixture.views(this.steps))),
    );
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
