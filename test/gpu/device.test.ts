// Devices: what can be asked for, what is refused, and what a GPU (or an emulated one) does.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { native, packageRoot } from '../../lib/native.js';
import {
  add,
  chooseDevice,
  currentDevice,
  type DeviceName,
  gatherRows,
  gpu,
  linear,
  scope,
  tensor,
  useDevice,
  usePrecision,
} from '../../lib/tensor/index.js';
import { gpuTest } from '../support/gpu-test.js';

const on = (device: DeviceName, values: number[]) => tensor(values, [values.length], 'f32', device);

/** What `chooseDevice` says in a process whose emulated machine has such a driver. */
function choose(choice: string, driver: string): { code?: string; message: string; hint?: string } {
  const script = `
    import { chooseDevice } from ${JSON.stringify(join(packageRoot(), 'dist/lib/index.js'))};
    try {
      const { device, reason } = chooseDevice(${JSON.stringify(choice)});
      console.log(JSON.stringify({ message: device + ': ' + reason }));
    } catch ({ code, message, hint }) {
      console.log(JSON.stringify({ code, message, hint }));
    }`;
  const env = { ...process.env, PROTEA_SIMT: `driver=${driver}` };
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    env,
    encoding: 'utf8',
  });
  return JSON.parse(stdout);
}

test('cpu is always there, and the place of new tensors', (t) => {
  t.deepEqual(chooseDevice('cpu'), { device: 'cpu', reason: 'asked for' });
  t.is(currentDevice(), 'cpu');
  const x = tensor([1], [1]);
  t.is(x.device, 'cpu');
  x.dispose();
});

test('auto says what it took and why', (t) => {
  const { device, reason } = chooseDevice('auto');
  t.is(device, gpu().ready && !gpu().emulated ? 'cuda' : 'cpu');
  t.true(reason.length > 0);
});

if (!gpu().built)
  test('cuda is refused by a build without it, with the remedy', (t) => {
    const error = t.throws(() => chooseDevice('cuda'), { code: 'ERR_PROTEA_BACKEND_UNAVAILABLE' });
    t.regex(String((error as { hint?: string }).hint), /build:cuda/);
    t.throws(() => on('cuda', [1]), { code: 'ERR_PROTEA_DEVICE' });
  });

const drivers: Record<string, RegExp> = {
  none: /no NVIDIA driver is installed/,
  old: /the NVIDIA driver supports CUDA 11\.4, this build needs 13/,
  'no-device': /no NVIDIA card was found/,
  'no-image': /has compute capability .* for which this build has no kernels/,
};
for (const [driver, reason] of Object.entries(drivers))
  (gpu().emulated ? test : test.skip)(
    `driver "${driver}": auto takes the CPU, cuda throws`,
    (t) => {
      const auto = choose('auto', driver);
      t.regex(auto.message, /^cpu: /);
      t.regex(auto.message, reason);
      const cuda = choose('cuda', driver);
      t.is(cuda.code, 'ERR_PROTEA_BACKEND_UNAVAILABLE');
      t.regex(cuda.message, reason);
      t.true(cuda.hint!.length > 0);
    },
  );

gpuTest('an op runs where its inputs are', async (t) => {
  const sum = scope(() => add(on('cuda', [1, 2]), on('cuda', [3, 4])));
  t.is(sum.device, 'cuda');
  t.deepEqual(Array.from(await sum.read()), [4, 6]);
  sum.dispose();
});

gpuTest('useDevice moves the place of new tensors', (t) => {
  const before = useDevice('cuda');
  const x = tensor([1], [1]);
  useDevice(before);
  t.is(before, 'cpu');
  t.is(x.device, 'cuda');
  x.dispose();
});

gpuTest('inputs on two devices are refused, and so is f64', (t) => {
  scope(() => {
    t.throws(() => add(on('cuda', [1]), on('cpu', [1])), {
      code: 'ERR_PROTEA_DEVICE',
      message: /\[weighted_sum\] inputs are on cuda and on cpu/,
    });
    t.throws(() => tensor([1], [1], 'f64', 'cuda'), { code: 'ERR_PROTEA_DTYPE' });
  });
});

gpuTest('memory that is short names the op, the bytes asked and those in use', (t) => {
  scope(() => {
    const x = tensor(new Float32Array(1 << 16), [1 << 16], 'f32', 'cuda');
    native((addon) => addon.setMemoryLimit(300_000, 'cuda'));
    t.throws(() => add(x, x), {
      code: 'ERR_PROTEA_OUT_OF_MEMORY',
      message: /\[weighted_sum\] cuda out of memory: 262144 bytes asked, \d+ in use/,
    });
    native((addon) => addon.setMemoryLimit(0, 'cuda'));
    t.notThrows(() => add(x, x));
  });
});

gpuTest('an index out of range arrives at the next read, once', async (t) => {
  const gathered = scope(() =>
    gatherRows(
      tensor([1, 2, 3, 4], [2, 2], 'f32', 'cuda'),
      tensor(Int32Array.of(0, 7), [2], 'i32', 'cuda'),
    ),
  );
  await t.throwsAsync(gathered.read(), {
    code: 'ERR_PROTEA_SHAPE',
    message: '[gather_rows] index 7 is not in [0, 2)',
  });
  gathered.dispose();
  const next = on('cuda', [5]);
  t.is(await next.item(), 5);
  next.dispose();
});

gpuTest('freed tensors are freed on the device too', async (t) => {
  const bytes = () => native((addon) => addon.memory('cuda')).bytes;
  const before = bytes();
  for (let i = 0; i < 20; i++) {
    const sum = scope(() => add(on('cuda', [i, 1]), on('cuda', [3, 4])));
    t.is((await sum.read())[0], i + 3);
    sum.dispose();
  }
  t.is(bytes(), before);
});

gpuTest('every op has a CUDA kernel', (t) => {
  const names = (device: DeviceName) => native((addon) => addon.ops(device));
  t.deepEqual(names('cuda'), names('cpu'));
});

gpuTest('products are rounded to bf16 when that is asked for', async (t) => {
  const values = Array.from({ length: 64 }, (_, i) => 1 + i / 1000);
  const product = async () => {
    const x = tensor(values, [1, 64], 'f32', 'cuda');
    return (await scope(() => linear(x, x)).read())[0]!;
  };
  const exact = values.reduce((sum, value) => sum + value * value, 0);
  t.true(Math.abs((await product()) / exact - 1) < 1e-6);
  usePrecision('bf16');
  const rounded = await product();
  usePrecision('f32');
  t.not(rounded, await product());
  t.true(Math.abs(rounded / exact - 1) < 1e-2);
});
