import test from 'ava';
import { initialise, VisionTransformer, vitConfig, vitParameters } from '../../lib/nn/index.js';
import { tensor, zeros } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

const config = vitConfig('vit-nano', { imageSize: 16, patchSize: 4, dropPath: 0.5 });
const model = new VisionTransformer(config, initialise(vitParameters(config), 1));
const image = (size: number) => tensor(pseudo(2 * 3 * size * size), [2, 3, size, size]);

test('tokens of any image the patch divides', (t) => {
  t.deepEqual(model.forward(image(16)).shape, [2, 17, 64]);
  t.deepEqual(model.forward(image(8)).shape, [2, 5, 64]);
  t.deepEqual(model.forward(zeros([2, 3, 8, 12])).shape, [2, 7, 64]);
  t.deepEqual(model.features(image(16)).shape, [2, 64]);
});

test('drop path with every branch kept and nothing dropped is the network without it', async (t) => {
  const plain = await model.forward(image(16)).read();
  const asked: [number, number][] = [];
  const keep = (branch: number, images: number, drop: number) => {
    asked.push([branch, drop]);
    return tensor(Array(images).fill(1 - drop), [images]);
  };
  const kept = await model.forward(image(16), { keep }).read();
  kept.forEach((v, i) => {
    if (Math.abs(v - plain[i]!) > 1e-4) t.fail(`token value ${i}: ${v}, expected ${plain[i]}`);
  });
  const rates = asked.map(([, drop]) => drop);
  t.deepEqual(
    rates,
    [0.5 / 3, 0.5 / 3, 1 / 3, 1 / 3, 0.5, 0.5],
    'none at the first block, all at the last',
  );
});

test('a missing parameter and a config that cannot be are named', (t) => {
  const parameters = initialise(vitParameters(config), 1);
  parameters.delete('blocks.2.norm1.weight');
  t.throws(() => new VisionTransformer(config, parameters).forward(image(16)), {
    code: 'ERR_PROTEA_CHECKPOINT_FORMAT',
    message: /blocks\.2\.norm1\.weight/,
  });
  const sizes = { imageSize: 16, patchSize: 4 };
  t.throws(() => vitConfig('vit-nano', { ...sizes, heads: 3 }), { message: /heads/ });
  t.throws(() => vitConfig('vit-nano', { ...sizes, patchSize: 32 }), { message: /patchSize/ });
});

test('weights are drawn per parameter: another depth leaves the shared ones as they are', async (t) => {
  const deeper = vitConfig('vit-nano', { imageSize: 16, patchSize: 4, depth: 5 });
  const [a, b] = [config, deeper].map((c) => initialise(vitParameters(c), 7));
  const name = 'blocks.3.attn.qkv.weight';
  t.deepEqual(await a!.get(name)!.read(), await b!.get(name)!.read());
});

test('sizes by name have the published numbers of parameters', (t) => {
  const count = (size: 'vit-s' | 'vit-b') =>
    vitParameters(vitConfig(size, { imageSize: 224, patchSize: 16 })).reduce(
      (sum, { shape }) => sum + shape.reduce((x, y) => x * y, 1),
      0,
    );
  t.is(count('vit-s'), 21_665_664);
  t.is(count('vit-b'), 85_798_656);
});

test('patches that are not visible are not seen, and the others keep their places', async (t) => {
  const all = Int32Array.from({ length: 16 }, (_, i) => i);
  const whole = await model.forward(image(16)).read();
  t.deepEqual(await model.forward(image(16), { visible: all }).read(), whole);
  const visible = Int32Array.from([1, 2, 7, 12]);
  const some = model.forward(image(16), { visible });
  t.deepEqual(some.shape, [2, 5, 64]);
  const values = pseudo(2 * 3 * 16 * 16);
  // Patch 0 is the upper left: rows 0 to 3, columns 0 to 3 of each plane.
  const changed = values.map((v, i) => (i % 256 < 64 && i % 16 < 4 ? v + 1 : v));
  const other = model.forward(tensor(changed, [2, 3, 16, 16]), { visible });
  t.deepEqual(await other.read(), await some.read());
});
