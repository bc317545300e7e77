// Which parameters decay, and how fast each learns.

/** DINO: biases and tensors of one dimension do not decay. */
export const isDecayed = (name: string, shape: readonly number[]): boolean =>
  shape.length > 1 && !name.endsWith('.bias');

export interface Multipliers {
  lr: number;
  weightDecay: number;
  isLastLayer: boolean;
}

export interface LayerwiseOptions {
  /** Number of blocks; 0 for a head. */
  depth: number;
  /** Factor from one layer to the one below it. @default 1 */
  decay?: number;
  /** Extra factor of the patch embedding. @default 1 */
  patchEmbed?: number;
}

/** The layer a parameter belongs to: 0 for the embeddings, i + 1 for block i, depth + 1 above. */
function layerOf(name: string, depth: number): number {
  if (/(^|\.)(pos_embed|patch_embed|cls_token|mask_token|register_tokens)/.test(name)) return 0;
  const block = /(?:^|\.)blocks\.(?:\d+\.)*?(\d+)\.[a-z]/.exec(name);
  return block ? Number(block[1]) + 1 : depth + 1;
}

/** DINOv2: lr falls by `decay` a layer from the top; biases, norms and gammas do not decay. */
export function layerwiseMultipliers(name: string, options: LayerwiseOptions): Multipliers {
  const { depth, decay = 1, patchEmbed = 1 } = options;
  const layer = depth ? layerOf(name, depth) : depth + 1;
  const lr = decay ** (depth + 1 - layer);
  return {
    lr: name.includes('patch_embed') ? lr * patchEmbed : lr,
    weightDecay: name.endsWith('.bias') || /norm|gamma/.test(name) ? 0 : 1,
    isLastLayer: name.includes('last_layer'),
  };
}
