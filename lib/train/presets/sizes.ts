// DINO at each size: what the other methods differ from.
import type { TrainConfig } from '../config.js';
import { merged, type Tree } from '../merged.js';

/** What a config changes, section by section. */
export type Changes = {
  [Section in keyof TrainConfig]?: TrainConfig[Section] extends object
    ? Partial<TrainConfig[Section]>
    : TrainConfig[Section];
};

/** A config with some settings changed. */
export const changed = (config: TrainConfig, changes: Changes): TrainConfig =>
  merged(config as unknown as Tree, changes as Tree) as unknown as TrainConfig;

/** The recipe of DINO's README for ViT-S/16, 100 epochs, with the warm-up of its longer run. */
const vits16: TrainConfig = {
  method: 'dino',
  seed: 0,
  data: {
    source: 'flora',
    labels: null,
    images: null,
    test: null,
    workers: 2,
    augment: 'auto',
    cacheBytes: 2 ** 31,
    maxBadFraction: 0.5,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  crops: {
    global: 2,
    globalSize: 224,
    globalScale: [0.4, 1],
    local: 8,
    localSize: 96,
    localScale: [0.05, 0.4],
    colour: 1,
    blur: [1, 0.1, 0.5],
    solarize: 0.2,
    flip: 0.5,
  },
  mask: { kind: 'none', sampling: 'crop', probability: 0.5, ratio: [0.1, 0.5], dropped: 0 },
  model: {
    size: 'vit-s',
    patchSize: 16,
    registers: 0,
    layerScale: null,
    dropPath: 0.1,
    predictorDepth: 0,
  },
  head: {
    prototypes: 65536,
    hiddenDim: 2048,
    bottleneckDim: 256,
    layers: 3,
    batchNorm: false,
    layer: 'weight-norm',
    normLastLayer: true,
    vmf: false,
    patches: 'shared',
    patchPrototypes: null,
    learning: 'gradient',
  },
  mixture: { forgetting: 0.02, varianceFloor: 1e-4, annealingStart: 0.1, annealing: 0.3 },
  loss: {
    studentTemperature: 0.1,
    teacherTemperature: 0.07,
    teacherTemperatureStart: 0.04,
    patchTemperature: 0.07,
    patchTemperatureStart: 0.04,
    teacherWarmup: 0.3,
    cls: 1,
    patch: 1,
    targets: 'logit-centering',
    centerMomentum: 0.9,
    koleoProto: 0,
    koleoProtoClip: 1,
    koleoProtoTieBreak: 1e-4,
    koleo: 0,
    meMax: 0,
  },
  optim: {
    batch: 64,
    epochs: 100,
    steps: null,
    lr: 1.25e-4,
    lrEnd: 1e-6,
    warmup: 0.1,
    warmupStart: 0,
    weightDecay: 0.04,
    weightDecayEnd: 0.4,
    stretch: 1,
    decay: 'dino',
    clip: 3,
    clipMode: 'per_parameter',
    layerDecay: 1,
    patchEmbedLr: 1,
    prototypeLr: 1,
    clusteringLr: 0.5,
    beta2: 0.999,
    momentum: 0.996,
    momentumSchedule: 'cosine',
    freezeLastLayer: 0.01,
    freeze: 'gradient',
  },
  run: {
    device: 'auto',
    precision: 'f32',
    graphs: false,
    logEvery: 10,
    diagnoseEvery: 500,
    checkpointEvery: 500,
    keep: 2,
    epsilon: 0.025,
  },
  eval: { k: 20, maxImages: 20000 },
};

/**
 * Small images and short runs on two CPU cores. KoLeo on the features keeps images apart from the first
 * step on; milder colours and larger local crops than DINO's leave something that two views share.
 * A mixture gets a row a component every few steps, so it forgets fast and is annealed to the end: its
 * components then take part instead of staying where they began.
 */
const tiny: TrainConfig = changed(vits16, {
  data: { test: 'flora:test=1,images=600' },
  crops: {
    globalSize: 32,
    local: 2,
    localSize: 16,
    localScale: [0.2, 0.5],
    colour: 0.5,
    blur: [0, 0, 0],
  },
  model: { size: 'vit-nano', patchSize: 4, dropPath: 0 },
  head: { prototypes: 1024, hiddenDim: 256, bottleneckDim: 64 },
  mixture: { forgetting: 0.2, annealing: 0.9 },
  loss: { teacherTemperature: 0.04, patchTemperature: 0.04, koleo: 0.3 },
  optim: {
    batch: 32,
    epochs: null,
    steps: 600,
    lr: 1e-3,
    lrEnd: 1e-5,
    momentum: 0.99,
    weightDecayEnd: 0.1,
    freezeLastLayer: 0.02,
  },
  run: { diagnoseEvery: 100, checkpointEvery: 200 },
});

const shared = [
  'batch 64, with the rate scaled from the reference batch by its own rule',
  'warm-ups and freezing are shares of the run, so that they fit any length',
];

export interface Size {
  config: TrainConfig;
  departures: readonly string[];
}

/** Every size with DINO's settings at it, and where those are not the reference's. */
export const sizes = {
  tiny: {
    config: tiny,
    departures: [
      'made for small images and a few hundred steps: a ViT of width 64, 4-pixel patches, K = 1024 in 64 dimensions',
      'KoLeo on the features (0.3), milder colours, no blur, two larger local crops, EMA momentum 0.99',
    ],
  },
  vitti16: {
    config: changed(vits16, { model: { size: 'vit-ti' } }),
    departures: [...shared, 'the reference has no ViT-Ti: the settings are those of ViT-S/16'],
  },
  vits16: { config: vits16, departures: shared },
  vitb16: {
    config: changed(vits16, { model: { size: 'vit-b' } }),
    departures: [
      ...shared,
      'the full settings of the released ViT-B/16 are not published with the code: those of ViT-S/16',
    ],
  },
} as const satisfies Record<string, Size>;

export type SizeName = keyof typeof sizes;
