import test from 'ava';
import { applySteps, type Picture, type Step } from '../../lib/data/index.js';
import { augment, type DeviceName, gpu, scope, tensor } from '../../lib/tensor/index.js';
import { checkOp } from '../support/check-op.js';

const kinds = {
  flip: 3,
  brightness: 4,
  contrast: 5,
  saturation: 6,
  hue: 7,
  grayscale: 8,
  boxBlur: 9,
  solarize: 11,
} as const;
type Change = [kind: keyof typeof kinds, argument: number];
type Box = [top: number, left: number, height: number, width: number];

const picture = (width: number, height: number): Picture => ({
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * i * 31 + i * 7) % 256),
  width,
  height,
});

/** The 23 numbers of a view. */
const view = ({ width, height }: Picture, box: Box, changes: Change[] = [], offset = 0) => [
  ...[offset, width, height, ...box],
  ...Array.from({ length: 8 }, (_, i) => {
    const change = changes[i];
    return change ? [kinds[change[0]], change[1]] : [-1, 0];
  }).flat(),
];

const all: Change[] = [
  ['flip', 0],
  ['hue', 0.07],
  ['saturation', 1.15],
  ['contrast', 0.7],
  ['brightness', 1.3],
  ['grayscale', 0],
  ['boxBlur', 1.2],
  ['solarize', 128],
];
const coloured = all.filter(([kind]) => kind !== 'grayscale');
const levels = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] };
const devices: DeviceName[] = gpu().ready ? ['cpu', 'cuda'] : ['cpu'];

/** The levels of one view, pixel by pixel. */
async function made(from: Picture, box: Box, changes: Change[], size: number, on: DeviceName) {
  const views = view(from, box, changes);
  const result = scope(() =>
    augment(tensor(from.data, [from.data.length], 'u8', on), { size, ...levels, views }),
  );
  const planes = await result.read();
  result.dispose();
  const plane = size * size;
  return Uint8Array.from(planes, (_, i) => planes[(i % 3) * plane + Math.floor(i / 3)]!);
}

test('views are normalised, the same on any number of threads', async (t) => {
  const { data, ...size } = picture(11, 7);
  const from = { data, ...size };
  await checkOp(t, {
    op: 'augment',
    inputs: [{ shape: [data.length], values: Array.from(data), dtype: 'u8' }],
    attrs: {
      size: 5,
      mean: [0.48, 0.45, 0.4],
      std: [0.23, 0.22, 0.21],
      views: [...view(from, [0, 0, 7, 11]), ...view(from, [1, 2, 5, 4], coloured)],
    },
    gradient: false,
    tolerance: 1e-6,
  });
});

const cases: [width: number, height: number, box: Box, size: number][] = [
  [1, 1, [0, 0, 1, 1], 4],
  [1, 30, [3, 0, 20, 1], 8],
  [11, 7, [0, 0, 7, 11], 24],
  [50, 37, [4, 1, 33, 41], 12],
];
for (const [width, height, [top, left, h, w], size] of cases)
  for (const changes of [[], coloured, all])
    test(`${changes.length} changes of ${width} x ${height} give the levels of applySteps`, async (t) => {
      const from = picture(width, height);
      const steps: Step[] = [
        {
          kind: 'resizedCrop',
          box: { top, left, height: h, width: w },
          height: size,
          width: size,
        },
        ...changes.map(([kind, by]) => ({ kind, factor: by, radius: by, threshold: by }) as Step),
      ];
      const { data } = await applySteps(from, steps);
      for (const device of devices)
        t.deepEqual(await made(from, [top, left, h, w], changes, size, device), data, device);
    });

test('bad input is refused by name', (t) => {
  const from = picture(6, 5);
  const pixels = tensor(from.data, [from.data.length]);
  const whole: Box = [0, 0, 5, 6];
  const refused = (views: number[], message: RegExp, other: object = {}, code = 'SHAPE') =>
    t.throws(() => augment(pixels, { size: 4, ...levels, views, ...other }), {
      code: `ERR_PROTEA_${code}`,
      message,
    });
  const good = view(from, whole);
  refused(good.slice(1), /views must be 23 numbers for each view, got 22/);
  refused(
    [...good, ...view(from, [0, 1, 5, 6])],
    /view 1: the box of 5 x 6 at \(0, 1\) lies outside/,
  );
  refused(view(from, [0, 0, 0, 6]), /box/);
  refused(view(from, [0, 0.5, 5, 5]), /whole numbers, got 0.5/);
  refused(view(from, [0, Number.NaN, 5, 5]), /whole numbers/);
  refused(view(from, whole, [], 1), /bytes 1 to 91 of pixels, which has 90/);
  refused(view({ ...from, width: -6 }, whole), /a picture of -6 x 5 pixels/);
  refused(view(from, whole, [['hue', 0.6]]), /argument of step kind 7 must be in \[-0.5, 0.5\]/);
  refused(view(from, whole, [['boxBlur', -1]]), /argument of step kind 9/);
  refused(view(from, whole, [['contrast', Number.NaN]]), /argument of step kind 5/);
  refused(good.with(7, 1), /step kind 1 is no change of a cut view/, {}, 'UNSUPPORTED');
  refused(good.with(7, 12), /step kind 12 is not known/, {}, 'UNSUPPORTED');
  refused(good, /size must be a whole number/, { size: 0 });
  refused(good, /std must be finite and above 0, got 0/, { std: [1, 0, 1] });
  refused(good, /mean must be 3 numbers, got 1/, { mean: [1] });
  t.throws(() => augment(tensor([1, 2, 3], [3]), { size: 4, ...levels, views: good }), {
    code: 'ERR_PROTEA_DTYPE',
    message: /pixels must be \(n\) of u8, got \(3\) of f32/,
  });
});

test('no views make an empty tensor', async (t) => {
  const none = augment(tensor(Uint8Array.of(1, 2, 3), [3]), { size: 4, ...levels, views: [] });
  t.deepEqual(none.shape, [0, 3, 4, 4]);
  t.is((await none.read()).length, 0);
});
