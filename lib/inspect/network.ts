// A backbone with its head, as a checkpoint of anyone holds them.
import type { CheckpointFacts, FoundHead } from '../diagnose/index.js';
import { ProteaError } from '../error.js';
import type { TensorFile } from '../formats/tensor-file.js';
import type { VisionTransformer } from '../nn/index.js';
import {
  l2Normalize,
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
import { backbonePrefix, readBackbone } from './backbone.js';
import { readMlp } from './mlp.js';

/** How images are assigned. */
export interface AssigningFacts {
  temperature: number;
  /** The teacher's logits are centred by what the checkpoint holds. */
  centred: boolean;
  /** The head's batch norm kept no statistics and goes by those of all images shown. */
  batchStatistics: boolean;
}

/** Assigns images to prototypes as the training code did, before any balancing over a batch. */
export interface AssigningNetwork extends AssigningFacts {
  backbone: VisionTransformer;
  /** Features to points (n, P) of the bottleneck. */
  points(features: Tensor): Tensor;
  /** Points to assignments (n, K). */
  assign(points: Tensor): Tensor;
  dispose(): void;
}

const read = async (file: TensorFile, name: string) => {
  const { values, shape } = await file.read(name);
  return tensor(Float32Array.from(values), shape);
};

/** Names of the centre that belongs to a head, best first. */
const centres = (head: FoundHead) =>
  /last_layer2/.test(head.name)
    ? ['ibot_loss.center2']
    : /ibot_head/.test(head.name)
      ? ['ibot_patch_loss.center']
      : ['dino_loss.center', 'ibot_loss.center', 'centre'];

/** What is added to the logits after the temperature (K), from the state of the targets. */
async function centring(
  file: TensorFile,
  head: FoundHead,
  temperature: number,
): Promise<Tensor | undefined> {
  const K = file.shapeOf(head.name)[0]!;
  const fits = (name: string) => file.shapeOf(name).reduce((a, b) => a * b, 1) === K;
  const named = (end: string) =>
    file.names.find((name) => (name === end || name.endsWith(`.${end}`)) && fits(name));
  if (head.network === 'student') return undefined;
  const name = centres(head).map(named).find(Boolean);
  if (name) {
    const values = Float32Array.from((await file.read(name)).values);
    return tensor(
      values.map((c) => -c / temperature),
      [K],
    );
  }
  const logs = named('log_centre');
  if (!logs) return undefined;
  const values = Float32Array.from((await file.read(logs)).values);
  return tensor(
    values.map((c) => -c),
    [K],
  );
}

const swavTemperature = 0.1;

/** SwAV has one network, one temperature, and says nothing in its checkpoints. */
function temperatureOf(file: TensorFile, head: FoundHead, facts: CheckpointFacts): number {
  const swav = file.names.some((name) => /(^|\.)projection_head\./.test(name));
  if (swav && !facts.told) return swavTemperature;
  return head.network === 'student' ? facts.studentTemperature : facts.teacherTemperature;
}

/** Prototypes as logits have them. A bare parameter of that name is MSN's, normalised in its loss. */
function prototypesOf({ name, weightNormed }: FoundHead, stored: Tensor, gains?: Tensor): Tensor {
  if (weightNormed) return weightNorm(stored, gains);
  return /(^|\.)prototypes$/.test(name) ? l2Normalize(stored) : stored;
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
  const prefix = backbonePrefix(file, head.name);
  const backbone = await readBackbone(file, prefix, hints);
  const mlp = await readMlp(file, head, prefix).catch((error) => {
    for (const value of backbone.parameters.values()) value.dispose();
    throw error;
  });
  if (mlp.config.inDim !== backbone.config.dim)
    throw new ProteaError(
      'ERR_PROTEA_UNSUPPORTED',
      `${file.path}: the head at ${head.name} takes ${mlp.config.inDim} numbers, its backbone gives ${backbone.config.dim}`,
    );
  const temperature = temperatureOf(file, head, facts);
  const stored = await read(file, head.name);
  const gains = head.gains ? await read(file, head.gains) : undefined;
  const prototypes = unrecorded(() => prototypesOf(head, stored, gains));
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
    batchStatistics: mlp.config.batchNorm ?? false,
    points: (features) => scope(() => unrecorded(() => mlp.bottleneck(features))),
    assign: (points) =>
      scope(() => unrecorded(() => softmax(linear(points, prototypes, bias), temperature))),
    dispose() {
      for (const value of [...owned, ...mlp.parameters.values()]) value?.dispose();
      for (const value of backbone.parameters.values()) value.dispose();
    },
  };
}
