import test from 'ava';
import { openData, PictureCache } from '../../lib/data/index.js';
import { freshMethod, loadConfig } from '../../lib/train/index.js';
import { startMixtures } from '../../lib/train/mixture-start.js';
import { smallOverrides } from '../support/small-run.js';

test('a mixture begins where the images are, the same in every run', async (t) => {
  const overrides = smallOverrides(1, ['head.prototypes=80', 'mixture.varianceFloor=1e-12']);
  const config = await loadConfig({ preset: 'dino-gmm-tiny', overrides });
  const cache = new PictureCache(await openData(config.data.source));
  const started = async () => {
    const { method } = freshMethod(config);
    await startMixtures(method, config, cache);
    return method.mixtures.get('cls')!;
  };
  const mixture = await started();
  const dim = mixture.means.shape[1]!;
  const means = (await mixture.means.read()) as Float32Array;
  const row = (k: number) => means.subarray(k * dim, (k + 1) * dim);
  for (let k = 0; k < 48; k++)
    t.true(Math.abs(Math.hypot(...row(k)) - 1) < 1e-5, 'a bottleneck vector as it is');
  const variance = (await mixture.state.get('variance')!.read()) as Float32Array;
  const deviation = Math.sqrt(variance.slice(0, dim).reduce((sum, v) => sum + v, 0));
  for (let k = 48; k < 80; k++) {
    const apart = Math.hypot(...row(k).map((v, d) => v - row(k - 48)[d]!));
    t.true(apart > 0 && apart < deviation, 'beside the first of its image');
  }
  t.true(variance.every((v, i) => v > 0 && v === variance[i % dim]));
  t.deepEqual(await (await started()).means.read(), means);
});
