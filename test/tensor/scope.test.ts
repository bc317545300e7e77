import test from 'ava';
import { native } from '../../lib/native.js';
import {
  add,
  backward,
  dot,
  identity,
  linear,
  scope,
  type Tensor,
  tensor,
  unrecorded,
  watch,
  weightedSum,
  zeros,
} from '../../lib/tensor/index.js';

const memory = () => native((addon) => addon.memory());

test.serial('a scope frees what it made and keeps what it returns', async (t) => {
  const x = tensor([1, 2, 3], [3]);
  const before = memory();
  const { y, rest } = scope(() => {
    const double = add(x, x);
    return { y: identity(double), rest: [identity(x)], 'not a tensor': 1 };
  });
  t.is(memory().tensors, before.tensors + 2);
  t.deepEqual([...(await y.read())], [2, 4, 6]);
  for (const kept of [y, ...rest]) kept.dispose();
  t.is(memory().bytes, before.bytes);
  x.dispose();
});

test.serial('scopes nest: what an inner one returns dies with the outer one', (t) => {
  const before = memory().tensors;
  let inner: Tensor | undefined;
  scope(() => {
    inner = scope(() => zeros([4]));
    t.is(memory().tensors, before + 1);
  });
  t.is(memory().tensors, before);
  t.throws(() => identity(inner!), { code: 'ERR_PROTEA_DISPOSED' });
});

test.serial('a scope frees everything when its body throws', (t) => {
  const before = memory().tensors;
  t.throws(() =>
    scope(() => {
      zeros([4]);
      throw new Error('stop');
    }),
  );
  t.is(memory().tensors, before);
});

test.serial('a freed tensor throws at the call, not in the queue', async (t) => {
  const x = zeros([2]);
  x.dispose();
  x.dispose();
  t.throws(() => identity(x), { code: 'ERR_PROTEA_DISPOSED' });
  await t.throwsAsync(x.read(), { code: 'ERR_PROTEA_DISPOSED' });
});

test.serial('memory of a repeated step does not grow', async (t) => {
  const w = watch(tensor(new Float32Array(64 * 64).fill(0.1), [64, 64]));
  const step = async () => {
    const loss = scope(() => {
      const x = zeros([32, 64]);
      const y = linear(x, w);
      const total = dot(y, y);
      backward(total, [w]);
      return total;
    });
    await loss.item();
    loss.dispose();
  };
  await step();
  const first = memory();
  for (let i = 0; i < 100; i++) await step();
  const last = memory();
  t.is(last.tensors, first.tensors);
  t.is(last.bytes, first.bytes);
  t.is(last.cachedBytes, first.cachedBytes);
  w.dispose();
});

test.serial('gradients add up over uses, and nothing is recorded when asked', async (t) => {
  const x = watch(tensor([1, 2], [2]));
  const [gradient] = scope(() =>
    backward(weightedSum([dot(x, x), dot(x, identity(x))], [1, 1]), [x]),
  );
  t.deepEqual([...(await gradient!.read())], [4, 8]);
  const [none] = scope(() => {
    const loss = unrecorded(() => dot(x, x));
    return backward(loss, [x]);
  });
  t.is(none, undefined);
});

test.serial('reshape shares values and passes gradients on', async (t) => {
  const x = watch(tensor([1, 2, 3, 4], [2, 2]));
  const [gradient] = scope(() => {
    const flat = x.reshape([4]);
    return backward(weightedSum([dot(flat, flat), dot(x, x)], [1, 1]), [x]);
  });
  t.deepEqual(gradient!.shape, [2, 2]);
  t.deepEqual([...(await gradient!.read())], [4, 8, 12, 16]);
  t.throws(() => x.reshape([3]), { code: 'ERR_PROTEA_SHAPE' });
});

test.serial('out of memory names the bytes and leaves the runtime usable', async (t) => {
  native((addon) => addon.setMemoryLimit(1 << 20));
  t.throws(() => zeros([1 << 20]), {
    code: 'ERR_PROTEA_OUT_OF_MEMORY',
    message: /4194304 bytes asked/,
  });
  native((addon) => addon.setMemoryLimit(0));
  t.is(await dot(tensor([2], [1]), tensor([3], [1])).item(), 6);
});

test.serial('the loss must be a scalar', (t) => {
  t.throws(() => backward(zeros([2]), []), {
    code: 'ERR_PROTEA_SHAPE',
    message: /must be a scalar, got \(2\)/,
  });
});
