import type { MlcdReport, UniqueReport } from '../diagnose/index.js';
import type { KnnReport } from '../eval/index.js';
import type { ChosenDevice } from '../tensor/index.js';

/** Losses and gradient norm are means, and the largest, since the step event before. */
export interface StepEvent {
  event: 'step';
  step: number;
  steps: number;
  epoch: number;
  /** What was differentiated: the weighted sum of the losses below. */
  loss: number;
  /** Each loss before its weight, by name: "dino", "ibot", "koleoProto" ... */
  losses: Record<string, number>;
  lr: number;
  weightDecay: number;
  momentum: number;
  teacherTemperature: number;
  /** Largest gradient norm of a parameter, before clipping. */
  gradientNorm: number;
  imagesPerSecond: number;
  /** Share of the time spent waiting for data. */
  dataWait: number;
}

export interface DiagnosisEvent {
  event: 'diagnosis';
  step: number;
  prototypes: UniqueReport & { of: 'teacher' };
  /** Student's unique prototypes at the same epsilon. */
  studentUnique: number;
  mlcd: MlcdReport | null;
  /** Teacher's other prototypes, where patches have their own. */
  others: Record<string, UniqueReport>;
  /** The method's main cross-entropy. */
  loss: number;
  /** Each loss of the last step before its weight, by name. */
  losses: Record<string, number>;
  verdict: string;
  /** Set when the loss stands at ln K. */
  uniformCollapse: string | null;
}

export interface CheckpointEvent {
  event: 'checkpoint';
  step: number;
  path: string;
}

export interface WarningEvent {
  event: 'warning';
  message: string;
}

export interface StartEvent {
  event: 'start';
  out: string;
  images: number;
  step: number;
  steps: number;
  parameters: number;
  /** Where it computes, and why there. */
  device: ChosenDevice;
}

export interface EndEvent {
  event: 'end';
  checkpoint: string;
  steps: number;
  imagesPerSecond: number;
  prototypes: UniqueReport & { of: 'teacher' };
  mlcd: MlcdReport | null;
  /** Teacher's other prototypes, where patches have their own. */
  others: Record<string, UniqueReport>;
  knn: KnnReport | null;
  report: string;
  /** False when the run was stopped before its last step. */
  complete: boolean;
}

export type TrainEvent =
  | StartEvent
  | StepEvent
  | DiagnosisEvent
  | CheckpointEvent
  | WarningEvent
  | EndEvent;
