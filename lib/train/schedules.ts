import { cosine, line, rampThenConstant, type Schedule } from '../nn/index.js';
import type { TrainConfig } from './config.js';

export interface Schedules {
  lr: Schedule;
  weightDecay: Schedule;
  momentum: Schedule;
  teacherTemperature: Schedule;
  patchTemperature: Schedule;
  /** Exponent of a mixture's responsibilities. */
  annealing: Schedule;
  /** Steps in which the prototypes stand still. */
  frozenSteps: number;
}

/** Every value that changes over a run of `total` steps. */
export function schedulesOf({ optim, loss, mixture }: TrainConfig, steps: number): Schedules {
  const of = (share: number) => Math.round(share * steps);
  const total = of(optim.stretch);
  const warmup = of(optim.warmup);
  const momentum = { cosine, linear: line }[optim.momentumSchedule];
  const warmed = (start: number, end: number) =>
    rampThenConstant(start, end, of(loss.teacherWarmup));
  return {
    lr: cosine({
      base: optim.lr,
      final: optim.lrEnd,
      total,
      warmup,
      start: optim.warmupStart,
    }),
    weightDecay: cosine({ base: optim.weightDecay, final: optim.weightDecayEnd, total }),
    momentum: momentum({ base: optim.momentum, final: 1, total }),
    teacherTemperature: warmed(loss.teacherTemperatureStart, loss.teacherTemperature),
    patchTemperature: warmed(loss.patchTemperatureStart, loss.patchTemperature),
    annealing: rampThenConstant(mixture.annealingStart, 1, of(mixture.annealing)),
    frozenSteps: of(optim.freezeLastLayer),
  };
}
