import { fanIn, type Initialisation, normal } from '../../nn/index.js';
import { l2Normalize, type Tensor, weightNorm } from '../../tensor/index.js';

/** How K prototypes (K, P) come from what is stored. */
export interface PrototypeLayer {
  /** Name of the stored tensor (K, P), for a layer of that name. */
  stored(layer: string): string;
  init(dim: number): Initialisation;
  prototypes(stored: Tensor, gain: Tensor | undefined): Tensor;
}

/** The layers in use, by name. */
export const prototypeLayers = {
  /** g v / ||v||, g fixed at 1 or learnt (Caron et al. 2021). */
  'weight-norm': { stored: (layer) => `${layer}.weight_v`, init: fanIn, prototypes: weightNorm },
  /** As they are stored, std 0.02 at the start (DINOv3). */
  linear: {
    stored: (layer) => `${layer}.weight`,
    init: () => normal(0.02),
    prototypes: (stored) => stored,
  },
  /** Normalised in the loss; student and teacher share one set (Assran et al. 2022, MSN). */
  shared: {
    stored: () => 'prototypes',
    init: fanIn,
    prototypes: (stored) => l2Normalize(stored),
  },
} as const satisfies Record<string, PrototypeLayer>;

export type PrototypeLayerName = keyof typeof prototypeLayers;
