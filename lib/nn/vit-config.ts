import { checkInteger, checkNumber, invalid } from '../error.js';

export interface ViTConfig {
  /** Side of the square image the positional table is made for, in pixels. */
  imageSize: number;
  /** Side of a patch in pixels. */
  patchSize: number;
  /** @default 3 */
  channels: number;
  dim: number;
  depth: number;
  heads: number;
  /** Hidden width of the MLP over dim. @default 4 */
  mlpRatio: number;
  /** @default 'mlp' */
  ffn: 'mlp' | 'swiglu';
  /** Register tokens after CLS. @default 0 */
  registers: number;
  /** Initial LayerScale, or null for none. @default null */
  layerScale: number | null;
  /** Probability of dropping the last block's branches; earlier ones less, linearly. @default 0 */
  dropPath: number;
  /** @default true */
  qkvBias: boolean;
  /** Learnt token of masked patches. @default false */
  maskToken: boolean;
  /** How the positional table is resampled. @default { antialias: false, offset: 0.1 } */
  positions: { antialias: boolean; offset: number };
}

/** What a stack of blocks is made of. */
export type BlocksConfig = Pick<
  ViTConfig,
  'dim' | 'depth' | 'heads' | 'mlpRatio' | 'ffn' | 'layerScale' | 'dropPath' | 'qkvBias'
>;

/** Sizes by name; the mini ones are for small images on a CPU. */
export const vitSizes = {
  'vit-nano': { dim: 64, depth: 4, heads: 2 },
  'vit-mini': { dim: 128, depth: 6, heads: 4 },
  'vit-ti': { dim: 192, depth: 12, heads: 3 },
  'vit-s': { dim: 384, depth: 12, heads: 6 },
  'vit-b': { dim: 768, depth: 12, heads: 12 },
  'vit-l': { dim: 1024, depth: 24, heads: 16 },
} as const;

export type ViTSize = keyof typeof vitSizes;

export const vitDefaults = {
  channels: 3,
  mlpRatio: 4,
  ffn: 'mlp',
  registers: 0,
  layerScale: null,
  dropPath: 0,
  qkvBias: true,
  maskToken: false,
  positions: { antialias: false, offset: 0.1 },
} as const satisfies Partial<ViTConfig>;

/** A full config from a size's name and what differs from the defaults. */
export function vitConfig(
  size: ViTSize,
  options: Partial<ViTConfig> & Pick<ViTConfig, 'imageSize' | 'patchSize'>,
): ViTConfig {
  const config = { ...vitDefaults, ...vitSizes[size], ...options };
  checkViT(config);
  return config;
}

/** @throws ERR_PROTEA_CONFIG naming the field that does not fit */
export function checkViT(config: ViTConfig): void {
  for (const field of ['imageSize', 'patchSize', 'channels', 'dim', 'depth', 'heads'] as const)
    checkInteger(field, config[field], 1);
  checkInteger('registers', config.registers, 0);
  checkNumber('dropPath', config.dropPath, 0, 0.99);
  if (config.dim % config.heads)
    throw invalid('heads', `a divisor of dim ${config.dim}`, config.heads);
  if (config.patchSize > config.imageSize)
    throw invalid('patchSize', `at most imageSize ${config.imageSize}`, config.patchSize);
}

/** Side of the positional table in patches. */
export const tableSide = ({ imageSize, patchSize }: ViTConfig): number =>
  Math.floor(imageSize / patchSize);

/** Hidden width of the feed-forward layer; SwiGLU takes two thirds of it, in eights. */
export function hiddenWidth({ dim, mlpRatio, ffn }: BlocksConfig): number {
  const hidden = Math.floor(dim * mlpRatio);
  return ffn === 'mlp' ? hidden : Math.floor((Math.floor((hidden * 2) / 3) + 7) / 8) * 8;
}
