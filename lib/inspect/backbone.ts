// Finds a vision transformer in a file of tensors and infers its config from the shapes.
import { networkOf } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import type { TensorFile } from '../formats/tensor-file.js';
import {
  type Parameters,
  VisionTransformer,
  type ViTConfig,
  vitDefaults,
  vitParameters,
  vitSizes,
} from '../nn/index.js';
import { tensor } from '../tensor/index.js';

const mark = 'patch_embed.proj.weight';

/** Attention heads of the official architectures by name, where 64 does not divide the width. */
const officialHeads: Record<string, number> = {
  vit_tiny: 3,
  vit_small: 6,
  vit_base: 12,
  vit_large: 16,
};

const unknown = (file: TensorFile, what: string) =>
  new ProteaError('ERR_PROTEA_UNSUPPORTED', `${file.path}: ${what}`, {
    hint: 'Images can be shown to vision transformers under the official names of DINO and iBOT; without --data the prototypes are diagnosed alone.',
  });

const commonLength = (a: string, b: string) => {
  let n = 0;
  while (n < a.length && a[n] === b[n]) n++;
  return n;
};

/**
 * The prefix of the backbone that belongs to a head: the one whose name begins most like it, of several
 * the teacher's (MSN keeps one set of prototypes beside both networks).
 */
export function backbonePrefix(file: TensorFile, head: string): string {
  const prefixes = file.names
    .filter((name) => name.endsWith(mark))
    .map((name) => name.slice(0, -mark.length))
    .sort(
      (a, b) =>
        commonLength(b, head) - commonLength(a, head) ||
        Number(networkOf(b) === 'teacher') - Number(networkOf(a) === 'teacher'),
    );
  if (prefixes[0] === undefined) throw unknown(file, 'has no vision transformer in it');
  return prefixes[0];
}

/**
 * Names of the blocks in order. DINOv2 keeps them in chunks for sharding: blocks.1.3 is number 3, in
 * chunk 1.
 */
function blockNames(file: TensorFile, prefix: string): string[] {
  const pattern = /^(blocks\.(?:\d+\.)?(\d+))\.norm1\.weight$/;
  const found = file.names
    .map((name) => name.startsWith(prefix) && pattern.exec(name.slice(prefix.length)))
    .flatMap((match) => (match ? [{ name: match[1]!, number: Number(match[2]) }] : []))
    .sort((a, b) => a.number - b.number);
  if (!found.length || found.some(({ number }, i) => number !== i))
    throw unknown(file, `has a backbone at ${prefix || 'its top'} that is no ViT of DINO or iBOT`);
  return found.map(({ name }) => name);
}

function squareRoot(file: TensorFile, patches: number): number {
  const side = Math.round(Math.sqrt(patches));
  if (side * side !== patches)
    throw unknown(file, `has positions for ${patches} patches, no square`);
  return side;
}

interface Hints {
  /** Official name, as vit_small. */
  arch: string | null;
  /** Size by Protea's names, as vit-s. */
  size: unknown;
}

function headsOf(file: TensorFile, dim: number, { arch, size }: Hints): number {
  if (typeof size === 'string' && Object.hasOwn(vitSizes, size))
    return vitSizes[size as keyof typeof vitSizes].heads;
  if (arch !== null && Object.hasOwn(officialHeads, arch) && dim % officialHeads[arch]! === 0)
    return officialHeads[arch]!;
  if (dim % 64 === 0) return dim / 64;
  throw unknown(file, `has a backbone of width ${dim}, whose attention heads cannot be told`);
}

/** The config that fits the tensors below `prefix`. */
function inferViT(
  file: TensorFile,
  prefix: string,
  blocks: readonly string[],
  hints: Hints,
): ViTConfig {
  const shape = (name: string) =>
    file.names.includes(prefix + name) ? file.shapeOf(prefix + name) : undefined;
  const [dim = 0, channels = 3, patchSize = 1] = shape(mark)!;
  const positions = shape('pos_embed')?.[1];
  if (!positions) throw unknown(file, `has a backbone at ${prefix || 'its top'} without positions`);
  const first = blocks[0]!;
  const mlp = shape(`${first}.mlp.fc1.weight`);
  return {
    ...vitDefaults,
    dim,
    channels,
    patchSize,
    depth: blocks.length,
    heads: headsOf(file, dim, hints),
    imageSize: squareRoot(file, positions - 1) * patchSize,
    registers: shape('register_tokens')?.[1] ?? 0,
    ffn: mlp ? 'mlp' : 'swiglu',
    mlpRatio: mlp ? mlp[0]! / dim : vitDefaults.mlpRatio,
    qkvBias: shape(`${first}.attn.qkv.bias`) !== undefined,
    layerScale: shape(`${first}.ls1.gamma`) ? 1 : null,
  };
}

/**
 * The backbone whose names begin with `prefix`, with its weights.
 * @throws ERR_PROTEA_UNSUPPORTED when it is of a design that is not understood
 */
export async function readBackbone(
  file: TensorFile,
  prefix: string,
  hints: Hints,
): Promise<VisionTransformer> {
  const blocks = blockNames(file, prefix);
  const config = inferViT(file, prefix, blocks, hints);
  const parameters: Parameters = new Map();
  for (const { name, shape } of vitParameters(config)) {
    const stored = prefix + name.replace(/^blocks\.(\d+)/, (_, number) => blocks[Number(number)]!);
    if (!file.names.includes(stored)) throw unknown(file, `has no ${stored}`);
    const found = await file.read(stored);
    if (String(found.shape) !== String(shape))
      throw unknown(
        file,
        `${stored} is (${found.shape.join(', ')}), expected (${shape.join(', ')})`,
      );
    parameters.set(name, tensor(Float32Array.from(found.values), shape));
  }
  return new VisionTransformer(config, parameters);
}
