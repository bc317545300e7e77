import { cosine, rampThenConstant, type Schedule } from '../nn/index.js';
import type { TrainConfig } from './config.js';

export interface Schedules {
  lr: Schedule;
  weightDecay: Schedule;
  momentum: Schedule;
  teacherTemperature: Schedule;
  /** Steps in which the prototypes stand still. */
  frozenSteps: number;
}

/** Every value that changes over a run of `total` steps. */
export function schedulesOf({ optim, loss }: TrainConfig, total: number): Schedules {
  const of = (share: number) => Math.round(share * total);
  return {
    lr: cosine({ base: optim.lr, final: optim.lrEnd, total, warmup: of(optim.warmup) }),
    weightDecay: cosine({ base: optim.weightDecay, final: optim.weightDecayEnd, total }),
    momentum: cosine({ base: optim.momentum, final: 1, total }),
    teacherTemperature: rampThenConstant(
      loss.teacherTemperatureStart,
      loss.teacherTemperature,
      of(loss.teacherWarmup),
    ),
    frozenSteps: of(optim.freezeLastLayer),
  };
}
