import test from 'ava';
import { openData, PictureCache, plainBatch } from '../../lib/data/index.js';
import { extractFeatures } from '../../lib/eval/index.js';
import { initialise, VisionTransformer, vitConfig, vitParameters } from '../../lib/nn/index.js';
import { tensor } from '../../lib/tensor/index.js';

const normalisation = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

test('features are the CLS token, or the mean of the patch tokens without registers', async (t) => {
  const config = vitConfig('vit-nano', { imageSize: 16, patchSize: 4, registers: 2 });
  const backbone = new VisionTransformer(config, initialise(vitParameters(config), 1));
  const cache = new PictureCache(await openData('flora:images=5,size=16'), {});
  const options = { size: 16, normalisation, batch: 2 };
  const rows = [0, 2, 4];
  const plain = await plainBatch(cache, rows, 16, normalisation);
  const tokens = await backbone.forward(tensor(plain.values, [3, 3, 16, 16])).read();
  const token = (b: number, n: number) =>
    Array.from(tokens.slice((b * 19 + n) * 64, (b * 19 + n + 1) * 64), Number);
  const cls = await (await extractFeatures(backbone, cache, rows, options)).features.read();
  const pooled = { ...options, pool: 'patches' as const };
  const patches = await (await extractFeatures(backbone, cache, rows, pooled)).features.read();
  for (let b = 0; b < 3; b++) {
    const mean = Array(64).fill(0) as number[];
    for (let n = 3; n < 19; n++)
      token(b, n).forEach((v, d) => {
        mean[d]! += v;
      });
    for (const [found, expected] of [
      [cls, token(b, 0)],
      [patches, mean],
    ] as const)
      expected.forEach((v, d) => {
        t.true(Math.abs(found[b * 64 + d]! - v / Math.hypot(...expected)) < 1e-5);
      });
  }
});
