import test from 'ava';
import { linear, tensor } from '../../lib/tensor/index.js';
import { checkOp, pseudo } from '../support/check-op.js';

const [B, D, K] = [7, 5, 3];

function reference([x, weight, bias]: number[][]): number[][] {
  const y: number[] = [];
  for (let b = 0; b < B; b++) {
    for (let k = 0; k < K; k++) {
      let sum = bias?.[k] ?? 0;
      for (let d = 0; d < D; d++) sum += x![b * D + d]! * weight![k * D + d]!;
      y.push(sum);
    }
  }
  return [y];
}

const x = { shape: [B, D], values: pseudo(B * D, 1) };
const weight = { shape: [K, D], values: pseudo(K * D, 2) };
const bias = { shape: [K], values: pseudo(K, 3) };

test('value and gradients match the definition', async (t) => {
  await checkOp(t, { op: 'linear', inputs: [x, weight, bias], reference });
  await checkOp(t, {
    op: 'linear',
    inputs: [x, weight, undefined],
    reference: ([a, b]) => reference([a!, b!]),
  });
});

test('refuses a weight of another width', (t) => {
  t.throws(() => linear(tensor([1, 2], [1, 2]), tensor([1, 2, 3], [1, 3])), {
    code: 'ERR_PROTEA_SHAPE',
    message: '[linear] weight must be (K, 2), got (1, 3)',
  });
});
