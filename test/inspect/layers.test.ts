// The layers before prototypes as several codes have them, against plain arithmetic.
import { join } from 'node:path';
import test from 'ava';
import { openData } from '../../lib/data/index.js';
import { factsOf, findHeads } from '../../lib/diagnose/index.js';
import { openTensorFile } from '../../lib/formats/tensor-file.js';
import { diagnoseCheckpoint } from '../../lib/inspect/index.js';
import { readNetwork } from '../../lib/inspect/network.js';
import { normals } from '../../lib/nn/index.js';
import { gelu, tensor } from '../../lib/tensor/index.js';
import { temporaryFolder } from '../support/folder.js';
import {
  dim,
  K,
  layers,
  type Names,
  numbersOf,
  P,
  random,
  vit,
} from '../support/small-networks.js';
import { type TorchData, torchZip, writePieces } from '../support/torch-writer.js';

type Stored = ReadonlyMap<string, TorchData>;
type Activation = (x: Float32Array) => Promise<Float32Array>;

const activations: Record<string, Activation> = {
  gelu: async (x) => Float32Array.from(await gelu(tensor(x, [x.length])).read()),
  relu: async (x) => x.map((v) => Math.max(0, v)),
};

/** One row through the layers as PyTorch has them in evaluation, to assignments. */
async function assigned(
  feature: Float32Array,
  stored: Stored,
  names: Names,
  activation: Activation,
  prototypes: Float32Array,
  temperature: number,
) {
  let x = feature;
  for (const [i, [linear, norm]] of names.entries()) {
    const [w, b] = ['weight', 'bias'].map((part) => numbersOf(stored.get(`${linear}.${part}`)!));
    x = b!.map((bias, o) => x.reduce((sum, v, j) => sum + v * w![o * x.length + j]!, bias));
    if (norm) {
      const [g, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
        (part) => numbersOf(stored.get(`${norm}.${part}`)!),
      );
      x = x.map((v, o) => ((v - mean![o]!) / Math.sqrt(variance![o]! + 1e-5)) * g![o]! + beta![o]!);
    }
    if (i < names.length - 1) x = await activation(x);
  }
  const length = Math.hypot(...x);
  const logits = Array.from({ length: K }, (_, k) =>
    x.reduce((sum, v, p) => sum + (v / length) * prototypes[k * P + p]!, 0),
  );
  const powers = logits.map((l) => Math.exp((l - Math.max(...logits)) / temperature));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}

const unit = (values: Float32Array) =>
  values.map((v, i) => {
    const from = i - (i % P);
    return v / Math.hypot(...values.subarray(from, from + P));
  });

interface Kind {
  names: Names;
  activation: string;
  temperature: number;
}
const mlps: Record<string, Kind> = {
  'MSN with batch norm': {
    names: [['fc.fc1', 'fc.bn1'], ['fc.fc2', 'fc.bn2'], ['fc.fc3']],
    activation: 'gelu',
    temperature: 0.025,
  },
  'MSN without': {
    names: [['fc.fc1'], ['fc.fc2'], ['fc.fc3']],
    activation: 'gelu',
    temperature: 0.025,
  },
  SwAV: {
    names: [['projection_head.0', 'projection_head.1'], ['projection_head.3']],
    activation: 'relu',
    temperature: 0.1,
  },
  'DINO with batch norm': {
    names: [['head.mlp.0', 'head.mlp.1'], ['head.mlp.3', 'head.mlp.4'], ['head.mlp.6']],
    activation: 'gelu',
    temperature: 0.04,
  },
};

/** A checkpoint of that kind; the network that is shown images is below `prefix`. */
function checkpoint(code: string, path: string) {
  const own = (): [string, TorchData][] =>
    [
      ...(code === 'DINO with batch norm' ? vit('backbone.') : vit('')),
      ...layers(mlps[code]!.names),
    ] as [string, TorchData][];
  const stored = new Map(own());
  const prototypes = random([K, P], 1);
  const below = (prefix: string, map: Stored) =>
    new Map([...map].map(([name, value]) => [prefix + name, value]));
  if (code.startsWith('MSN')) {
    const encoder = below('module.', new Map(own()));
    const target_encoder = below('module.', stored);
    writePieces(
      path,
      torchZip({ encoder, prototypes, target_encoder, epoch: 2, temperature: 0.1 }),
    );
    return { stored, prototypes: unit(numbersOf(prototypes)) };
  }
  if (code === 'SwAV') {
    const state_dict = below('module.', stored).set('module.prototypes.weight', prototypes);
    writePieces(path, torchZip({ state_dict, epoch: 2 }));
    return { stored, prototypes: numbersOf(prototypes) };
  }
  const teacher = new Map([...stored, ['head.last_layer.weight_v', prototypes]]);
  writePieces(path, torchZip({ teacher }));
  return { stored, prototypes: unit(numbersOf(prototypes)) };
}

for (const code of Object.keys(mlps))
  test(`${code}: images are assigned as its layers do in evaluation mode`, async (t) => {
    const path = join(temporaryFolder(t), 'checkpoint.pth');
    const { stored, prototypes } = checkpoint(code, path);
    const { names, activation, temperature } = mlps[code]!;
    const file = await openTensorFile(path);
    const facts = factsOf(file);
    const network = await readNetwork(file, findHeads(file)[0]!, facts);
    const images = tensor(normals(8, 0, 0, 2 * 3 * 32 * 32), [2, 3, 32, 32]);
    const [features, found] = await Promise.all([
      network.backbone.features(images).read(),
      network.assign(images).read(),
    ]);
    await file.close();
    network.dispose();
    t.is(network.temperature, temperature);
    for (let i = 0; i < 2; i++) {
      const feature = Float32Array.from(features.subarray(i * dim, (i + 1) * dim));
      const act = activations[activation]!;
      const expected = await assigned(feature, stored, names, act, prototypes, temperature);
      expected.forEach((p, k) => {
        t.true(Math.abs(p - found[i * K + k]!) < 2e-5, `${found[i * K + k]}, not ${p}`);
      });
    }
    const data = await openData('flora:images=8,classes=2,size=40');
    t.is((await diagnoseCheckpoint(path, { data })).judged.mlcd!.images, 8);
  });

test('layers that are not understood are refused by name', async (t) => {
  const path = join(temporaryFolder(t), 'checkpoint.pth');
  const data = await openData('flora:images=4,classes=2,size=40');
  const refused = async (stored: Map<string, unknown>, message: RegExp) => {
    stored.set('head.last_layer.weight_v', random([K, P]));
    writePieces(path, torchZip({ teacher: stored }));
    await t.throwsAsync(diagnoseCheckpoint(path, { data }), {
      code: 'ERR_PROTEA_UNSUPPORTED',
      message,
    });
  };
  const plain = () => new Map<string, unknown>([...vit('backbone.'), ...layers([['head.mlp.0']])]);
  const normed = new Map<string, unknown>([
    ...vit('backbone.'),
    ...layers([['head.mlp.0', 'head.mlp.1'], ['head.mlp.3']]),
  ]);
  normed.delete('head.mlp.1.running_var');
  await refused(normed, /head\.last_layer\.weight_v have batch normalisation without its running/);
  await refused(
    plain().set('head.mlp.1.weight', random([3, 3, 3])),
    /no plain MLP: .*mlp\.1\.weight/,
  );
  await refused(new Map(vit('backbone.')), /are under no known name/);
  const gap = plain();
  for (const [name, value] of vit('backbone.blocks.7.'))
    if (name.endsWith('norm1.weight')) gap.set(name.replace(/7\..*norm1/, '7.norm1'), value);
  await refused(gap, /no ViT of DINO/);
});
