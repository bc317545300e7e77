// The layers between a backbone and its prototypes, as a checkpoint of anyone holds them.
import type { FoundHead } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import type { TensorFile } from '../formats/tensor-file.js';
import type { Parameters } from '../nn/index.js';
import { PrototypeHead } from '../ssl/index.js';
import { tensor } from '../tensor/index.js';

/** A linear layer with what normalises it folded in: rows (outputs, inputs). */
interface Layer {
  weight: Float32Array;
  bias: Float32Array | undefined;
  shape: readonly [number, number];
  /** Weight and bias of a batch normalisation that kept no statistics. */
  normedBy?: { weight: Float32Array; bias: Float32Array };
}

interface Layout {
  /** What the names of the layers begin with. */
  prefix: string;
  /** Numbers by which a normalisation and the next layer follow a linear one. */
  norm: (linear: number) => string;
  next: (linear: number, normed: boolean) => number;
  linear: (number: number) => string;
  first: number;
  relu: boolean;
}

const sequential = (prefix: string, relu: boolean): Layout => ({
  prefix,
  linear: (number) => `${prefix}${number}`,
  norm: (linear) => `${prefix}${linear + 1}`,
  next: (linear, normed) => linear + (normed ? 3 : 2),
  first: 0,
  relu,
});

/** The end of a head's name that its MLP does not share; MSN's prototypes are a bare parameter. */
const tail = /([^.]+\.(weight_v|weight|parametrizations\.weight\.original1)|prototypes)$/;

/** DINO, iBOT and DINOv2 (mlp.0); MSN, whose head belongs to its encoder (fc.fc1); SwAV. */
const layoutsOf = (head: FoundHead, backbone: string): Layout[] => {
  const beside = head.name.replace(tail, '');
  return [
    sequential(`${beside}mlp.`, false),
    {
      prefix: `${backbone}fc.`,
      linear: (number) => `${backbone}fc.fc${number}`,
      norm: (linear) => `${backbone}fc.bn${linear}`,
      next: (linear) => linear + 1,
      first: 1,
      relu: false,
    },
    sequential(`${beside}projection_head.`, true),
  ];
};

const batchNormEps = 1e-5;

/**
 * GELU(s x) / s is ReLU(x) to a third of 1 / s: a large power of two, which changes no digit of weights,
 * makes one of the other.
 */
const reluScale = 2 ** 20;

const refused = (file: TensorFile, head: FoundHead, what: string) =>
  new ProteaError(
    'ERR_PROTEA_UNSUPPORTED',
    `${file.path}: the layers before ${head.name} ${what}`,
    {
      hint: 'Images are shown to heads as DINO, iBOT, DINOv2, MSN and SwAV have them; without --data the prototypes are diagnosed alone.',
    },
  );

async function numbers(file: TensorFile, name: string): Promise<Float32Array> {
  return Float32Array.from((await file.read(name)).values);
}

async function linearAt(file: TensorFile, name: string): Promise<Layer> {
  const [outputs = 0, inputs = 0] = file.shapeOf(`${name}.weight`);
  const bias = file.names.includes(`${name}.bias`);
  return {
    weight: await numbers(file, `${name}.weight`),
    bias: bias ? await numbers(file, `${name}.bias`) : undefined,
    shape: [outputs, inputs],
  };
}

/** Each output times `scale`, plus `shift`. */
function scaled(
  layer: Layer,
  scale: (output: number) => number,
  shift?: (output: number) => number,
) {
  const { weight, bias, shape } = layer;
  const [outputs, inputs] = shape;
  const moved = bias || shift;
  return {
    weight: weight.map((w, i) => w * scale(Math.floor(i / inputs))),
    bias: moved
      ? Float32Array.from(
          { length: outputs },
          (_, o) => (bias?.[o] ?? 0) * scale(o) + (shift?.(o) ?? 0),
        )
      : undefined,
    shape,
  };
}

/** Batch normalisation in evaluation: by its running statistics, which makes it a part of the layer. */
async function normalised(file: TensorFile, layer: Layer, name: string): Promise<Layer> {
  const names = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => `${name}.${part}`);
  const [weight, bias, mean, variance] = await Promise.all(
    names.map((part) => numbers(file, part)),
  );
  const scale = (o: number) => weight![o]! / Math.sqrt(variance![o]! + batchNormEps);
  return scaled(layer, scale, (o) => bias![o]! - mean![o]! * scale(o));
}

/** Batch normalisation without running statistics: by those of the images that are shown. */
async function normedByBatch(file: TensorFile, layer: Layer, name: string): Promise<Layer> {
  const [weight, bias] = [
    await numbers(file, `${name}.weight`),
    await numbers(file, `${name}.bias`),
  ];
  return { ...layer, normedBy: { weight, bias } };
}

/** The layers of a layout in order; all that stands under its prefix must be part of them. */
async function layersOf(file: TensorFile, head: FoundHead, layout: Layout): Promise<Layer[]> {
  const has = (name: string) => file.names.includes(name);
  const used = new Set<string>();
  const layers: Layer[] = [];
  for (let number = layout.first; has(`${layout.linear(number)}.weight`); ) {
    const [linear, norm] = [layout.linear(number), layout.norm(number)];
    const shape = file.shapeOf(`${linear}.weight`);
    if (shape.length !== 2) break;
    const normed = has(`${norm}.weight`) && file.shapeOf(`${norm}.weight`).length === 1;
    const kept = has(`${norm}.running_mean`) && has(`${norm}.running_var`);
    const layer = await linearAt(file, linear);
    if (!normed) layers.push(layer);
    else layers.push(await (kept ? normalised : normedByBatch)(file, layer, norm));
    used.add(linear);
    if (normed) used.add(norm);
    number = layout.next(number, normed);
  }
  const owner = (name: string) => name.slice(0, name.lastIndexOf('.'));
  const strange = file.names.find(
    (name) => name.startsWith(layout.prefix) && !used.has(owner(name)),
  );
  if (!layers.length || strange) throw refused(file, head, `are no plain MLP: ${strange}`);
  return layers;
}

/** A single layer of DINO has no number. */
async function singleLayer(file: TensorFile, head: FoundHead): Promise<Layer[] | undefined> {
  const name = `${head.name.replace(tail, '')}mlp`;
  return file.names.includes(`${name}.weight`) ? [await linearAt(file, name)] : undefined;
}

/** Whether layers are normalised by the images shown: all but the last, or none. */
function normedByImages(file: TensorFile, head: FoundHead, layers: readonly Layer[]): boolean {
  const normed = layers.filter(({ normedBy }) => normedBy).length;
  if (normed === 0) return false;
  if (normed === layers.length - 1 && !layers.at(-1)!.normedBy) return true;
  throw refused(
    file,
    head,
    'have batch normalisation without running statistics in some layers only',
  );
}

/** ReLU between layers as the GELU that a prototype head has. */
const withRelu = (layers: readonly Layer[]): Layer[] =>
  layers.map((layer, i) => {
    const last = i === layers.length - 1;
    const weight = i
      ? scaled({ ...layer, bias: undefined }, () => 1 / reluScale).weight
      : layer.weight;
    return last ? { ...layer, weight } : scaled({ ...layer, weight }, () => reluScale);
  });

/**
 * The layers before the prototypes of a head, in evaluation mode; where batch normalisation kept no
 * statistics, as in Protea's own heads, its config has `batchNorm` and it goes by those of its rows.
 * @throws ERR_PROTEA_UNSUPPORTED when they are of a design that is not understood
 */
export async function readMlp(
  file: TensorFile,
  head: FoundHead,
  backbone: string,
): Promise<PrototypeHead> {
  const layout = layoutsOf(head, backbone).find(({ prefix }) =>
    file.names.some((name) => name.startsWith(prefix)),
  );
  const found = layout ? await layersOf(file, head, layout) : await singleLayer(file, head);
  if (!found) throw refused(file, head, 'are missing or under no known name');
  const batchNorm = normedByImages(file, head, found);
  if (batchNorm && layout?.relu)
    throw refused(file, head, 'have batch normalisation without its running statistics');
  const layers = layout?.relu ? withRelu(found) : found;
  const parameters: Parameters = new Map();
  layers.forEach(({ weight, bias, shape, normedBy }, i) => {
    const number = (batchNorm ? 3 : 2) * i;
    const name = layers.length === 1 ? 'mlp' : `mlp.${number}`;
    parameters.set(`${name}.weight`, tensor(weight, shape));
    if (bias) parameters.set(`${name}.bias`, tensor(bias, [shape[0]]));
    for (const part of ['weight', 'bias'] as const)
      if (normedBy) parameters.set(`mlp.${number + 1}.${part}`, tensor(normedBy[part], [shape[0]]));
  });
  const [prototypes = 0, bottleneckDim = 0] = file.shapeOf(head.name);
  const [hiddenDim, inDim] = layers[0]!.shape;
  return new PrototypeHead(
    {
      inDim,
      hiddenDim,
      bottleneckDim,
      prototypes,
      layers: layers.length,
      batchNorm,
      normLastLayer: false,
      bias: true,
    },
    parameters,
  );
}
