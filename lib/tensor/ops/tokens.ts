// From pictures to tokens and back.
import { call } from '../call.js';
import type { Tensor } from '../tensor.js';

/**
 * Linear map of each P x P patch in raster order: image (B, C, H, W), weight (D, C, P, P), bias (D)
 * -> (B, N, D). Rows and columns beyond a whole number of patches are ignored.
 */
export const patchEmbed = (image: Tensor, weight: Tensor, bias?: Tensor): Tensor =>
  call('patch_embed', [image, weight, bias])[0]!;

export interface InterpolateOptions {
  height: number;
  width: number;
  /** @default 'bicubic' */
  mode?: 'bicubic' | 'bilinear';
  /** @default false */
  antialias?: boolean;
  /** Source step is in / (out + offset). @default 0 */
  offset?: number;
  /** (H, W, C) instead of (C, H, W). @default false */
  channelsLast?: boolean;
}

/** Resamples a grid with half-pixel centres, as PyTorch's interpolate without align_corners. */
export function interpolate(x: Tensor, options: InterpolateOptions): Tensor {
  const { height, width, mode = 'bicubic', antialias = false } = options;
  const { offset = 0, channelsLast = false } = options;
  return call('interpolate', [x], {
    height,
    width,
    bicubic: Number(mode === 'bicubic'),
    antialias: Number(antialias),
    offset,
    channels_last: Number(channelsLast),
  })[0]!;
}

export interface TokenParts {
  /** (B, N, D) */
  patches: Tensor;
  /** (1, 1, D) */
  cls: Tensor;
  /** (1, 1 + N, D) */
  position: Tensor;
  /** (1, R, D): after CLS, without a position. */
  registers?: Tensor | undefined;
  /** (B, N) u8: 1 where the patch is replaced by maskToken (1, D) before its position is added. */
  mask?: Tensor | undefined;
  maskToken?: Tensor | undefined;
}

/** [cls; registers; patches] with positions: (B, 1 + R + N, D). */
export const embedTokens = (parts: TokenParts): Tensor =>
  call('embed_tokens', [
    parts.patches,
    parts.cls,
    parts.position,
    parts.registers,
    parts.mask,
    parts.maskToken,
  ])[0]!;

/** Token `index` of every image: (B, N, D) -> (B, D). */
export const takeToken = (x: Tensor, index: number): Tensor =>
  call('take_token', [x], { index })[0]!;
