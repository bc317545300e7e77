import test from 'ava';
import { applySteps, multiCrop } from '../../lib/data/index.js';

const ramp = (width: number, height: number) => ({
  data: Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 7) % 256),
  width,
  height,
});

test('steps that must change nothing change nothing', async (t) => {
  const picture = ramp(9, 6);
  const same = await applySteps(picture, [
    { kind: 'flip' },
    { kind: 'flip' },
    { kind: 'brightness', factor: 1 },
    { kind: 'contrast', factor: 1 },
    { kind: 'saturation', factor: 1 },
    {
      kind: 'resizedCrop',
      box: { top: 0, left: 0, height: 6, width: 9 },
      height: 6,
      width: 9,
    },
  ]);
  t.deepEqual(same, picture);
});

test('sizes follow the steps', async (t) => {
  const resized = await applySteps(ramp(30, 20), [{ kind: 'resize', shorterSide: 10 }]);
  t.deepEqual([resized.width, resized.height], [15, 10]);
  const cut = await applySteps(resized, [{ kind: 'centerCrop', side: 8 }]);
  t.deepEqual([cut.width, cut.height], [8, 8]);
});

test('boxes and crops beyond the picture are refused', async (t) => {
  const box = { top: 0, left: 5, height: 4, width: 8 };
  await t.throwsAsync(
    applySteps(ramp(10, 10), [{ kind: 'resizedCrop', box, height: 4, width: 4 }]),
    { code: 'ERR_PROTEA_SHAPE', message: /outside the picture/ },
  );
  await t.throwsAsync(applySteps(ramp(4, 4), [{ kind: 'centerCrop', side: 5 }]), {
    code: 'ERR_PROTEA_SHAPE',
  });
  await t.throwsAsync(applySteps({ ...ramp(4, 4), width: 5 }, []), { message: /bytes of RGB/ });
});

test('a single pixel survives every step', async (t) => {
  const one = { data: Uint8Array.from([10, 200, 30]), width: 1, height: 1 };
  const large = await applySteps(one, [
    { kind: 'resizedCrop', box: { top: 0, left: 0, height: 1, width: 1 }, height: 4, width: 4 },
    { kind: 'boxBlur', radius: 1.5 },
    { kind: 'gaussianBlur', size: 9, sigma: 2 },
    { kind: 'hue', factor: 0 },
  ]);
  for (let i = 0; i < large.data.length; i += 3)
    t.true([10, 200, 30].every((v, c) => Math.abs(large.data[i + c]! - v) <= 2));
});

test('recipes follow their options', (t) => {
  const options = {
    globalSize: 32,
    globalScale: [0.4, 1] as const,
    localCrops: 3,
    localSize: 16,
    localScale: [0.05, 0.4] as const,
    colour: 1,
    blur: [1, 0.1, 0.5] as const,
    flip: 0.5,
  };
  const recipes = multiCrop(options);
  t.deepEqual(
    recipes.map(({ size, blur, solarize }) => [size, blur, solarize]),
    [
      [32, 1, 0],
      [32, 0.1, 0.2],
      [16, 0.5, 0],
      [16, 0.5, 0],
      [16, 0.5, 0],
    ],
  );
  t.true(
    multiCrop({ ...options, colour: 0 }).every((r) => r.jitter + r.grayscale + r.solarize === 0),
  );
  t.throws(() => multiCrop({ ...options, localScale: [0.5, 0.2] }), { code: 'ERR_PROTEA_CONFIG' });
});
