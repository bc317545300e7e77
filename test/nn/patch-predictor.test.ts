import test from 'ava';
import {
  initialise,
  PatchPredictor,
  type PredictorConfig,
  predictorParameters,
} from '../../lib/nn/index.js';
import { backward, dot, type Tensor, tensor, watch } from '../../lib/tensor/index.js';
import { pseudo } from '../support/check-op.js';

const config: PredictorConfig = {
  dim: 8,
  depth: 2,
  heads: 2,
  mlpRatio: 2,
  ffn: 'mlp',
  layerScale: null,
  dropPath: 0,
  qkvBias: true,
  patches: 6,
};

const predictor = () => new PatchPredictor(config, initialise(predictorParameters(config), 0));

// CLS, one register and three patches of two images.
const encoded = (values = pseudo(2 * 5 * 8)) => tensor(values, [2, 5, 8]);
const visible = [Int32Array.from([0, 2, 3]), Int32Array.from([1, 4, 5])];

const rowsOf = async (x: Tensor) => {
  const values = await x.read();
  return (image: number, token: number) => values.slice((image * 7 + token) * 8).slice(0, 8);
};

test('every place gets a token, and what is shown moves them all', async (t) => {
  const made = predictor();
  const tokens = made.forward(encoded(), visible);
  t.deepEqual(tokens.shape, [2, 7, 8]);
  const before = await rowsOf(tokens);
  const values = pseudo(2 * 5 * 8);
  values[2 * 8] = 3; // the first shown patch of image 0
  const after = await rowsOf(made.forward(encoded(values), visible));
  t.notDeepEqual(after(0, 1 + 0), before(0, 1 + 0));
  t.notDeepEqual(after(0, 1 + 1), before(0, 1 + 1), 'a place that is not shown');
  t.deepEqual(after(1, 3), before(1, 3), 'another image');
});

test('a patch stands in its place, and tokens before the patches are left out', async (t) => {
  const made = predictor();
  const before = await rowsOf(made.forward(encoded(), visible));
  const swapped = await rowsOf(made.forward(encoded(), [Int32Array.from([0, 3, 2]), visible[1]!]));
  t.notDeepEqual(swapped(0, 1 + 2), before(0, 1 + 2));
  const values = pseudo(2 * 5 * 8);
  values[0] = 9; // CLS of image 0
  const other = await rowsOf(made.forward(encoded(values), visible));
  t.deepEqual(other(0, 4), before(0, 4));
});

test('the gradient reaches what was shown, and every parameter', async (t) => {
  const made = predictor();
  const x = encoded();
  watch(x);
  for (const parameter of made.parameters.values()) watch(parameter);
  const tokens = made.forward(x, visible);
  // A sum over all tokens would be constant: they are normed.
  const loss = dot(tokens, tensor(pseudo(2 * 7 * 8, 3), [2, 7, 8]));
  const [dx, ...rest] = backward(loss, [x, ...made.parameters.values()]);
  const given = await dx!.read();
  t.true(given.slice(2 * 8, 5 * 8).every((v) => v !== 0));
  t.true(given.slice(0, 2 * 8).every((v) => v === 0));
  for (const gradient of rest) t.true((await gradient!.read()).some((v) => v !== 0));
});
