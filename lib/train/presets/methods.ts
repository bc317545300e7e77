// What each method changes, at the sizes of its reference ("full") and for small images ("tiny").

import { vitSizes } from '../../nn/index.js';
import type { MethodName } from '../../ssl/index.js';
import type { TrainConfig } from '../config.js';
import type { Changes, SizeName } from './sizes.js';

export interface MethodPreset {
  /** Where the settings are from. */
  source: string;
  /** Where they differ from it, besides what the size brings. */
  departures: readonly string[];
  /** At every size. */
  changes: (config: TrainConfig) => Changes;
  /** At the sizes of the reference alone. */
  full?: Changes;
  /** For small images alone. */
  tiny?: Changes;
  /** What is said of small images. */
  tinyDepartures?: readonly string[];
}

const blockMasks = (sampling: 'crop' | 'batch'): Changes['mask'] => ({
  kind: 'block',
  sampling,
  probability: 0.5,
  ratio: [0.1, 0.5],
});

const vmf: Changes = {
  head: { normLastLayer: false, vmf: true },
  loss: { targets: 'probability-centering' },
};

const ibot: Changes = { mask: blockMasks('crop'), head: { normLastLayer: false } };

const ibotFull: Changes = {
  crops: { globalScale: [0.25, 1], local: 10, localScale: [0.05, 0.25] },
  head: { prototypes: 8192 },
};

const ibotSource =
  'bytedance/ibot, README recipe of ViT-S/16: K = 8192 shared by CLS and patches, free magnitudes, pred_ratio 0 0.3 with variance 0 0.2';

/** What every method's presets start from, by method. */
export const methodPresets: Readonly<Record<MethodName, MethodPreset>> = {
  dino: {
    source: 'facebookresearch/dino, README recipe of ViT-S/16 and the defaults of its code',
    departures: ['magnitudes stay fixed at 1 (norm_last_layer true), as in the 100-epoch recipe'],
    changes: () => ({}),
  },
  'dino-vmf': {
    source: 'Govindarajan et al. 2023 on the settings of dino',
    departures: ['no public code: hyper-parameters are those of dino'],
    changes: () => ({ method: 'dino-vmf', ...vmf }),
  },
  ibot: {
    source: ibotSource,
    departures: ['100 epochs instead of 800'],
    changes: () => ({ method: 'ibot', ...ibot }),
    full: ibotFull,
  },
  'ibot-vmf': {
    source: `Govindarajan et al. 2023 on the settings of ibot (${ibotSource})`,
    departures: ['no public code: hyper-parameters are those of ibot', '100 epochs instead of 800'],
    changes: () => ({ method: 'ibot-vmf', mask: ibot.mask!, ...vmf }),
    full: ibotFull,
  },
  msn: {
    source: 'facebookresearch/msn, configs/pretrain/msn_vits16.yaml',
    departures: [
      '100 epochs instead of 800',
      'saturation 0.2 instead of 0.4 in the colour changes',
      'the rate is scaled linearly from batch 1024, which the reference does not do',
    ],
    changes: () => ({
      method: 'msn',
      crops: { solarize: 0 },
      mask: { dropped: 0.15 },
      model: { dropPath: 0 },
      head: { layer: 'shared', batchNorm: true },
      loss: {
        targets: 'sinkhorn-of-probabilities',
        teacherTemperature: 0.025,
        teacherTemperatureStart: 0.025,
        meMax: 1,
      },
      optim: { clipMode: 'global', freezeLastLayer: 0, stretch: 1.25, momentumSchedule: 'linear' },
    }),
    full: {
      crops: { globalScale: [0.3, 1], local: 10, localScale: [0.05, 0.3], blur: [0.5, 0.5, 0.5] },
      head: { prototypes: 1024 },
      optim: { lr: 6.25e-5, warmupStart: 1.25e-5, warmup: 0.02 },
    },
  },
  dinov2: {
    source: 'facebookresearch/dinov2, configs/train/vitl16_short.yaml',
    departures: [
      'blur as documented (1, 0.1, 0.5); the released models were trained with 0, 0.9, 0.5 (dinov3 issue 286)',
      'drop path rises from block to block instead of being the same in all',
    ],
    changes: () => ({
      method: 'dinov2',
      mask: blockMasks('batch'),
      head: { normLastLayer: false },
      optim: {
        decay: 'dinov2',
        clipMode: 'per_module',
        layerDecay: 0.9,
        patchEmbedLr: 0.2,
        freeze: 'rate',
      },
    }),
    full: {
      crops: { globalScale: [0.32, 1], localScale: [0.05, 0.32] },
      model: { layerScale: 1e-5, dropPath: 0.3 },
      loss: { koleo: 0.1 },
      optim: { lr: 1e-3, momentum: 0.992 },
    },
    tinyDepartures: ['no LayerScale: from 1e-5 on, a few hundred steps do not open the branches'],
  },
  capi: {
    source: 'facebookresearch/capi: its teacher head, losses, masks and positionwise Sinkhorn',
    departures: [
      'a predictor with self-attention over all places instead of cross-attention, and every masked patch is predicted, not 5 %',
      'a plain ViT with learnt positions; no RoPE, RMSNorm or registers',
      'EMA momentum rises on a cosine from its start; rates fall on a cosine to the end',
    ],
    changes: ({ model }) => ({
      method: 'capi',
      crops: { global: 1, globalScale: [0.6, 1], local: 0, colour: 0, blur: [0, 0, 0] },
      mask: { kind: 'inverse-block', sampling: 'crop', probability: 1, ratio: [0.65, 0.65] },
      model: { dropPath: 0, predictorDepth: 12 },
      head: { layers: 0, bottleneckDim: vitSizes[model.size].dim, learning: 'clustering' },
      loss: {
        targets: 'sinkhorn',
        studentTemperature: 0.12,
        teacherTemperature: 0.06,
        teacherTemperatureStart: 0.06,
        patchTemperature: 0.06,
        patchTemperatureStart: 0.06,
      },
      optim: { freezeLastLayer: 0, weightDecay: 0.1, weightDecayEnd: 0.1 },
    }),
    full: { head: { prototypes: 16384 }, optim: { lr: 6.25e-5, momentum: 0.999 } },
    tiny: {
      model: { predictorDepth: 2 },
      loss: { koleo: 0 },
      head: { prototypes: 128 },
      optim: { batch: 128, lr: 2e-3, clusteringLr: 10 },
    },
    tinyDepartures: [
      '2 predictor blocks instead of 12',
      'K = 128 instead of 1024, as many as images of a batch: places are balanced one by one',
      'clusters learn at ten times the rate of the encoder, as they have a few hundred steps',
      'no KoLeo on the features: the CLS token is not trained',
    ],
  },
};

/** The changes of a method at a size, in the order they are made. */
export function changesOf(method: MethodName, size: SizeName, config: TrainConfig): Changes[] {
  const { changes, full = {}, tiny = {} } = methodPresets[method];
  return [changes(config), size === 'tiny' ? tiny : full];
}
