// The laboratory's setting: partial prototype collapse in seconds, without images. Mixtures of
// Gaussian clusters on the sphere, a 3-layer head as the whole network, DINO with two views.

import type { TargetKind } from '../ssl/index.js';

export const setting = {
  clusters: 40,
  inputs: 64,
  hidden: 256,
  bottleneck: 64,
  prototypes: 512,
  batch: 128,
  steps: 6000,
  warmup: 200,
  lr: 5e-3,
  weightDecay: 0.1,
  momentum: 0.996,
  studentTemperature: 0.1,
  teacherTemperature: 0.05,
  centerMomentum: 0.9,
  /** Spread of a cluster, and of a view around its sample. */
  clusterNoise: 0.08,
  viewNoise: 0.35 / 8,
  epsilon: 0.025,
  /** Steps between counts. */
  every: 150,
  /** Steps at the end over which the loss is averaged. */
  averaged: 200,
} as const;

/** What one run of the laboratory keeps the prototypes apart with. */
export interface LabRunSetting {
  title: string;
  targets: TargetKind;
  /** Weight of KoLeo-proto. */
  koleoProto: number;
  /** Weight of ME-MAX. */
  meMax: number;
  /** Prototypes are the means of a mixture. */
  mixture: boolean;
}

const plain: LabRunSetting = {
  title: 'DINO',
  targets: 'logit-centering',
  koleoProto: 0,
  meMax: 0,
  mixture: false,
};

/** The runs, by name; the first two are made unless others are asked for. */
export const labRuns = {
  dino: plain,
  'dino-kp': { ...plain, title: 'DINO with KoLeo-proto', koleoProto: 0.1 },
  none: { ...plain, title: 'No regularization', targets: 'none' },
  'probability-centering': {
    ...plain,
    title: 'Probability centering',
    targets: 'probability-centering',
  },
  sinkhorn: { ...plain, title: 'Sinkhorn', targets: 'sinkhorn' },
  'me-max': { ...plain, title: 'ME-MAX', targets: 'none', meMax: 1 },
  gmm: { ...plain, title: 'Mixture', mixture: true },
} as const satisfies Record<string, LabRunSetting>;

export type LabName = keyof typeof labRuns;
export const labNames = Object.keys(labRuns) as LabName[];

/** Of the run "gmm": about a tenth of what a component knows is replaced by each row it is given. */
export const mixtureOptions = { forgetting: 0.1, varianceFloor: 1e-4 } as const;
