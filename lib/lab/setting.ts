// The laboratory's setting: partial prototype collapse in seconds, without images. Mixtures of
// Gaussian clusters on the sphere, a 3-layer head as the whole network, DINO with two views.

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

export type LabName = 'dino' | 'dino-kp';

/** Weight of KoLeo-proto in each of the two runs. */
export const koleoProtoWeight: Record<LabName, number> = { dino: 0, 'dino-kp': 0.1 };
