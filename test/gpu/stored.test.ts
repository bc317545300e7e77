// What a GPU stores in bf16: which tensors, how they are read, and what it does to a network.
import test from 'ava';
import { initialise, VisionTransformer, vitConfig, vitParameters } from '../../lib/nn/index.js';
import {
  backward,
  type DeviceName,
  dot,
  gelu,
  linear,
  scope,
  type Tensor,
  tensor,
  useDevice,
  usePrecision,
  watch,
} from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';
import { gpuTest } from '../support/gpu-test.js';

async function inBf16<T>(body: () => Promise<T>): Promise<T> {
  usePrecision('bf16');
  try {
    return await body();
  } finally {
    usePrecision('f32');
  }
}

const product = (device: DeviceName): Tensor => {
  const x = tensor([1 + 2 ** -10, -3, 0.5, 1e-3], [1, 4], 'f32', device);
  const identity = tensor([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], [4, 4], 'f32', device);
  return scope(() => linear(x, identity, undefined, { rounded: true }));
};

test('bf16 is for what ops make: a tensor of such values is refused', (t) => {
  t.throws(() => tensor([1], [1], 'bf16'), { code: 'ERR_PROTEA_DTYPE', message: /bf16/ });
});

test('on the CPU a result is stored as it is', (t) => {
  t.is(product('cpu').dtype, 'f32');
});

gpuTest(
  'a rounded result is stored in bf16 where products are computed in it, and read as f32',
  async (t) => {
    t.is(product('cuda').dtype, 'f32');
    await inBf16(async () => {
      t.is(product('cpu').dtype, 'f32');
      const y = product('cuda');
      t.is(y.dtype, 'bf16');
      t.deepEqual([...(await y.read())].slice(0, 3), [1, -3, 0.5]);
      t.true(Math.abs((await y.read())[3]! / 1e-3 - 1) < 2 ** -8);
      t.throws(
        () => gelu(y),
        { code: 'ERR_PROTEA_DTYPE' },
        'an op that reads f32 does not take it',
      );
    });
  },
);

async function outputAndGradients(ffn: 'mlp' | 'swiglu'): Promise<number[][]> {
  const small = { imageSize: 16, patchSize: 4, layerScale: 0.5, depth: 2 };
  const config = vitConfig('vit-nano', { ...small, ffn });
  const parameters = initialise(vitParameters(config), 1);
  const model = new VisionTransformer(config, parameters);
  const wanted = [...parameters.values()];
  for (const parameter of wanted) watch(parameter);
  const images = tensor(pseudo(2 * 3 * 16 * 16), [2, 3, 16, 16]);
  const tokens = model.forward(images);
  const loss = dot(tokens, tensor(pseudo(tokens.size), tokens.shape));
  const values = [tokens, ...backward(loss, wanted)].map(async (y) => [...(await y!.read())]);
  return Promise.all(values);
}

for (const ffn of ['mlp', 'swiglu'] as const)
  gpuTest(
    `a network (${ffn}) whose blocks store bf16 gives what f32 gives, to its precision`,
    async (t) => {
      const before = useDevice('cuda');
      try {
        const exact = await outputAndGradients(ffn);
        const rounded = await inBf16(() => outputAndGradients(ffn));
        exact.forEach((values, n) => {
          const most = Math.max(...values.map(Math.abs));
          const error = Math.max(...values.map((v, i) => Math.abs(v - rounded[n]![i]!)));
          t.true(error < 5e-2 * most, `array ${n}: off by ${error} of ${most}`);
          if (n === 0) t.true(error > 0, 'tokens are rounded');
        });
      } finally {
        useDevice(before);
      }
    },
  );
