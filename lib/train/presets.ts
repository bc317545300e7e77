import type { TrainConfig } from './config.js';

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

/** DINO's recipe for ViT-S/16 (Caron et al. 2021), with KoLeo-proto. */
const vits16: TrainConfig = {
  method: 'dino',
  seed: 0,
  data: {
    source: 'flora',
    labels: null,
    test: null,
    workers: 2,
    cacheBytes: 2 ** 31,
    maxBadFraction: 0.5,
    mean: [...imagenet.mean],
    std: [...imagenet.std],
  },
  crops: {
    globalSize: 224,
    globalScale: [0.4, 1],
    local: 8,
    localSize: 96,
    localScale: [0.05, 0.4],
    colour: 1,
    blur: [1, 0.1, 0.5],
    flip: 0.5,
  },
  model: { size: 'vit-s', patchSize: 16, registers: 0, layerScale: null, dropPath: 0.1 },
  head: {
    prototypes: 65536,
    hiddenDim: 2048,
    bottleneckDim: 256,
    layers: 3,
    normLastLayer: true,
    vmf: false,
  },
  loss: {
    studentTemperature: 0.1,
    teacherTemperature: 0.07,
    teacherTemperatureStart: 0.04,
    teacherWarmup: 0.3,
    targets: 'logit-centering',
    centerMomentum: 0.9,
    koleoProto: 0.1,
    koleo: 0,
  },
  optim: {
    batch: 64,
    epochs: 100,
    steps: null,
    lr: 1.25e-4,
    lrEnd: 1e-6,
    warmup: 0.1,
    weightDecay: 0.04,
    weightDecayEnd: 0.4,
    clip: 3,
    beta2: 0.999,
    momentum: 0.996,
    freezeLastLayer: 0.01,
  },
  run: {
    device: 'auto',
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
 */
const tiny: TrainConfig = {
  ...vits16,
  data: { ...vits16.data, source: 'flora', test: 'flora:test=1,images=600' },
  crops: {
    ...vits16.crops,
    globalSize: 32,
    globalScale: [0.4, 1],
    local: 2,
    localSize: 16,
    localScale: [0.2, 0.5],
    colour: 0.5,
    blur: [0, 0, 0],
  },
  model: { ...vits16.model, size: 'vit-nano', patchSize: 4, dropPath: 0 },
  head: { ...vits16.head, prototypes: 1024, hiddenDim: 256, bottleneckDim: 64 },
  loss: { ...vits16.loss, teacherTemperature: 0.04, koleo: 0.3 },
  optim: {
    ...vits16.optim,
    batch: 32,
    epochs: null,
    steps: 600,
    lr: 1e-3,
    lrEnd: 1e-5,
    momentum: 0.99,
    weightDecayEnd: 0.1,
    freezeLastLayer: 0.02,
  },
  run: { ...vits16.run, diagnoseEvery: 100, checkpointEvery: 200 },
};

const withoutKoleoProto = (config: TrainConfig): TrainConfig => ({
  ...config,
  loss: { ...config.loss, koleoProto: 0 },
});

/** Govindarajan et al. 2023: free magnitudes, vMF logits, centering in probability space. */
const withVmf = (config: TrainConfig): TrainConfig => ({
  ...config,
  head: { ...config.head, normLastLayer: false, vmf: true },
  loss: { ...config.loss, targets: 'probability-centering' },
});

/** Starting points by name; the first is the default. */
export const presets = {
  'dino-kp-tiny': tiny,
  'dino-tiny': withoutKoleoProto(tiny),
  'dino-kp-vits16': vits16,
  'dino-vits16': withoutKoleoProto(vits16),
  'dino-vmf-kp-tiny': withVmf(tiny),
  'dino-vmf-tiny': withVmf(withoutKoleoProto(tiny)),
  'dino-vmf-kp-vits16': withVmf(vits16),
  'dino-vmf-vits16': withVmf(withoutKoleoProto(vits16)),
} as const satisfies Record<string, TrainConfig>;

export type PresetName = keyof typeof presets;
