// Parts of small networks, to write checkpoints of several codes with.
import { normals, vitConfig, vitParameters } from '../../lib/nn/index.js';
import { floats, type TorchData } from './torch-writer.js';

export const [K, P, hidden, dim] = [24, 16, 32, 64];
export const config = vitConfig('vit-nano', { imageSize: 32, patchSize: 8 });

let key = 0;
export const at = (values: Float32Array, shape: readonly number[]) =>
  floats(String(key++), values, shape);
export const random = (shape: readonly number[], scale = 0.1) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return at(
    normals(1, key, 0, size).map((v) => v * scale),
    shape,
  );
};
export const numbersOf = ({ data }: TorchData) => new Float32Array(data.slice().buffer);

export const vit = (prefix: string, rename = (name: string) => name) =>
  vitParameters(config).map(({ name, shape }) => [prefix + rename(name), random(shape)] as const);

export type Names = readonly (readonly [linear: string, norm?: string])[];

/** Linear layers and, where named, batch normalisations that are far from doing nothing. */
export function layers(names: Names) {
  const widths = [dim, ...Array(names.length - 1).fill(hidden), P];
  return names.flatMap(([linear, norm], i) => {
    const n = widths[i + 1]!;
    const normal = (base: number) =>
      at(
        normals(3, key, 0, n).map((v) => base + 0.2 * v),
        [n],
      );
    return [
      [`${linear}.weight`, random([n, widths[i]!], 0.3)] as const,
      [`${linear}.bias`, random([n])] as const,
      ...(norm
        ? ([
            [`${norm}.weight`, normal(1)],
            [`${norm}.bias`, normal(0)],
            [`${norm}.running_mean`, normal(0.1)],
            [
              `${norm}.running_var`,
              at(
                normals(4, key, 0, n).map((v) => 0.1 + v * v),
                [n],
              ),
            ],
            [`${norm}.num_batches_tracked`, at(Float32Array.of(7), [])],
          ] as const)
        : []),
    ];
  });
}
