// A backbone with its head, as a checkpoint of anyone holds them.
import type { CheckpointFacts, FoundHead } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import type { TensorFile } from '../formats/tensor-file.js';
import type { Parameters, VisionTransformer } from '../nn/index.js';
import { PrototypeHead } from '../ssl/index.js';
import {
  linear,
  scope,
  softmax,
  type Tensor,
  tensor,
  unrecorded,
  vmfLogNormalizer,
  weightedSum,
  weightNorm,
} from '../tensor/index.js';
import { readBackbone } from './backbone.js';

/** Assigns images to prototypes as the training code did, before any balancing over a batch. */
export interface AssigningNetwork {
  backbone: VisionTransformer;
  temperature: number;
  /** The teacher's logits are centred by what the checkpoint holds. */
  centred: boolean;
  /** Images (n, C, H, W) to assignments (n, K). */
  assign(images: Tensor): Tensor;
  dispose(): void;
}

const read = async (file: TensorFile, name: string) => {
  const { values, shape } = await file.read(name);
  return tensor(Float32Array.from(values), shape);
};

const tail = /[^.]+\.(weight_v|weight|parametrizations\.weight\.original1)$/;

/** The layers before the prototypes: linear layers at mlp.0, mlp.2, ... or a single one. */
async function readMlp(file: TensorFile, head: FoundHead): Promise<PrototypeHead> {
  const prefix = head.name.replace(tail, '');
  const names = file.names.filter((name) => name.startsWith(`${prefix}mlp.`));
  const parameters: Parameters = new Map();
  for (const name of names) parameters.set(name.slice(prefix.length), await read(file, name));
  const weights = [...parameters].filter(([name]) => name.endsWith('.weight'));
  const plain = weights.every(([name, { shape }], i) => {
    const expected =
      weights.length === 1 ? ['mlp.weight', 'mlp.0.weight'] : [`mlp.${2 * i}.weight`];
    return expected.includes(name) && shape.length === 2;
  });
  if (!weights.length || !plain)
    throw new ProteaError(
      'ERR_PROTEA_UNSUPPORTED',
      `${file.path}: the layers before ${head.name} are no plain MLP`,
      { hint: 'Heads with batch normalisation or of another design cannot be shown images.' },
    );
  const [prototypes = 0, bottleneckDim = 0] = file.shapeOf(head.name);
  return new PrototypeHead(
    {
      inDim: weights[0]![1].shape[1]!,
      hiddenDim: weights[0]![1].shape[0]!,
      bottleneckDim,
      prototypes,
      layers: weights.length,
      normLastLayer: false,
      bias: parameters.has(weights[0]![0].replace(/weight$/, 'bias')),
    },
    parameters,
  );
}

/** Names of the centre that belongs to a head, best first. */
const centres = (head: FoundHead) =>
  /last_layer2/.test(head.name)
    ? ['ibot_loss.center2']
    : ['dino_loss.center', 'ibot_loss.center', 'centre'];

/** What is added to the logits after the temperature (K), from the state of the targets. */
async function centring(
  file: TensorFile,
  head: FoundHead,
  temperature: number,
): Promise<Tensor | undefined> {
  const K = file.shapeOf(head.name)[0]!;
  const fits = (name: string) =>
    file.names.includes(name) && file.shapeOf(name).reduce((a, b) => a * b, 1) === K;
  const name = head.network === 'student' ? undefined : centres(head).find(fits);
  if (name) {
    const values = Float32Array.from((await file.read(name)).values);
    return tensor(
      values.map((c) => -c / temperature),
      [K],
    );
  }
  if (head.network === 'student' || !fits('log_centre')) return undefined;
  const values = Float32Array.from((await file.read('log_centre')).values);
  return tensor(
    values.map((c) => -c),
    [K],
  );
}

/**
 * The network behind a head.
 * @throws ERR_PROTEA_UNSUPPORTED when backbone or head are of a design that is not understood
 */
export async function readNetwork(
  file: TensorFile,
  head: FoundHead,
  facts: CheckpointFacts,
): Promise<AssigningNetwork> {
  const hints = { arch: facts.arch, size: facts.run?.model?.size };
  const backbone = await readBackbone(file, head.name, hints);
  const mlp = await readMlp(file, head);
  if (mlp.config.inDim !== backbone.config.dim)
    throw new ProteaError(
      'ERR_PROTEA_UNSUPPORTED',
      `${file.path}: the head at ${head.name} takes ${mlp.config.inDim} numbers, its backbone gives ${backbone.config.dim}`,
    );
  const student = head.network === 'student';
  const temperature = student ? facts.studentTemperature : facts.teacherTemperature;
  const stored = await read(file, head.name);
  const gains = head.gains ? await read(file, head.gains) : undefined;
  const prototypes = head.weightNormed ? unrecorded(() => weightNorm(stored, gains)) : stored;
  const centre = await centring(file, head, temperature);
  // softmax divides the head's bias by the temperature too.
  const terms = [centre, facts.vmf ? vmfLogNormalizer(prototypes, temperature) : undefined];
  const given = terms.filter((term) => term !== undefined);
  const bias = given.length
    ? weightedSum(
        given,
        given.map(() => temperature),
      )
    : undefined;
  const owned = [stored, gains, prototypes, bias, ...terms];
  return {
    backbone,
    temperature,
    centred: centre !== undefined,
    assign: (images) =>
      scope(() =>
        unrecorded(() => {
          const z = mlp.bottleneck(backbone.features(images));
          return softmax(linear(z, prototypes, bias), temperature);
        }),
      ),
    dispose() {
      for (const value of [...owned, ...mlp.parameters.values()]) value?.dispose();
      for (const value of backbone.parameters.values()) value.dispose();
    },
  };
}
