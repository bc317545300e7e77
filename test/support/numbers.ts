// Numbers for tests of ops, and plain arithmetic on rows of them.
import { type Input, pseudo } from './check-op.js';

export const random = (shape: number[], seed: number, differentiable = true): Input => ({
  shape,
  values: pseudo(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
  differentiable,
});

export const norm = (x: number[]) => Math.hypot(...x);
export const rowsOf = (x: number[], width: number) =>
  Array.from({ length: x.length / width }, (_, i) => x.slice(i * width, (i + 1) * width));
export const inner = (a: number[], b: number[]) => a.reduce((s, v, i) => s + v * b[i]!, 0);
export const softmaxOf = (l: number[]) => {
  const top = Math.max(...l);
  const sum = l.reduce((s, v) => s + Math.exp(v - top), 0);
  return l.map((v) => Math.exp(v - top) / sum);
};
