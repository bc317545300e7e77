// Views that a GPU, or an emulated one, makes of bytes, against those of the CPU's workers.
import test from 'ava';
import {
  CropLoader,
  type Dataset,
  multiCrop,
  type Picture,
  viewTensors,
} from '../../lib/data/index.js';
import { gpu, useDevice } from '../../lib/tensor/index.js';

/** Values are levels. */
const levels = { mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] } as const;
const recipes = multiCrop({
  globalSize: 20,
  globalScale: [0.3, 1],
  localCrops: 2,
  localSize: 9,
  localScale: [0.05, 0.3],
  colour: 1,
  blur: [1, 0.1, 0.5],
  flip: 0.5,
  solarize: 0.5,
});
const sizes = [
  [1, 1],
  [1, 40],
  [33, 1],
  [60, 45],
  [31, 64],
  [12, 7],
] as const;

/** Colours that change smoothly, with some noise. */
function picture(width: number, height: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < data.length; i++) {
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    const wave = Math.sin(x / (5 + (i % 3)) + (i % 3)) + Math.cos(y / 7 - (i % 3));
    data[i] = 128 + 50 * wave + ((i * i * 31) % 20);
  }
  return { data, width, height };
}

const dataset: Dataset = {
  name: 'made',
  samples: sizes.map(([width, height], i) => ({
    key: String(i),
    label: undefined,
    load: async () => picture(width, height),
  })),
  classes: [],
  warnings: [],
};

const title = 'crops of pictures of all sizes have the levels of those of the CPU';
const body = gpu().ready ? test : test.skip;
body(gpu().ready ? title : `${title} (needs a GPU: ${gpu().reason})`, async (t) => {
  const loader = (drawOnly: boolean) =>
    new CropLoader(dataset, { batch: 6, seed: 4, recipes, normalisation: levels, drawOnly });
  const [made, drawn] = [loader(false), loader(true)];
  for (let step = 0; step < 4; step++) {
    const expected = (await made.batch(step)).groups.map(({ values }) => values);
    const batch = await drawn.batch(step);
    useDevice('cuda');
    const tensors = viewTensors(batch, levels);
    useDevice('cpu');
    for (const [g, tensor] of tensors.entries()) {
      t.is(tensor.device, 'cuda');
      t.deepEqual(await tensor.read(), expected[g], `group ${g} of step ${step}`);
      tensor.dispose();
    }
  }
});
