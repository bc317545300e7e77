import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { configText, loadConfig, presets, readRunConfig } from '../../lib/train/index.js';
import { temporaryFolder } from '../support/folder.js';

test('preset, file and overrides lie on top of each other', async (t) => {
  const file = join(temporaryFolder(t), 'a.yaml');
  writeFileSync(file, 'preset: dino-tiny\noptim: { batch: 8, lr: 0.5 }\n');
  const config = await loadConfig({
    file,
    overrides: ['optim.lr=0.25', 'crops.localScale=[0.1, 0.2]'],
  });
  t.is(config.loss.koleoProto, 0);
  t.is(config.optim.batch, 8);
  t.is(config.optim.lr, 0.25);
  t.deepEqual(config.crops.localScale, [0.1, 0.2]);
});

test('an unknown setting is refused with its line and the nearest name', async (t) => {
  const file = join(temporaryFolder(t), 'a.yaml');
  writeFileSync(file, 'optim:\n  batch: 8\n  learnRate: 0.5\nlos: {}\n');
  const error = await t.throwsAsync(loadConfig({ file }), { code: 'ERR_PROTEA_CONFIG' });
  t.regex(error!.message, /a\.yaml:3: unknown setting "optim\.learnRate"/);
  t.regex(error!.message, /unknown setting "los"; did you mean "loss"\?/);
});

test('a wrong value is refused with its name', async (t) => {
  await t.throwsAsync(loadConfig({ overrides: ['optim.batch=0'] }), {
    code: 'ERR_PROTEA_CONFIG',
    message: /optim\.batch/,
  });
  await t.throwsAsync(loadConfig({ overrides: ['optim.batch'] }), { message: /key\.sub=value/ });
  const error = await t.throwsAsync(loadConfig({ preset: 'dino-kp-tyni' }));
  t.is((error as { hint?: string }).hint, 'Did you mean "dino-kp-tiny"?');
});

test("a run's config from before a later setting is read", async (t) => {
  const path = join(temporaryFolder(t), 'config.yaml');
  const config = await loadConfig();
  const text = configText(config);
  t.regex(text, /^ {2}graphs: false\n/m);
  writeFileSync(path, text.replace(/^ {2}graphs: false\n/m, ''));
  t.deepEqual(await readRunConfig(path), config);
});

test('every preset is valid and survives being written', async (t) => {
  const path = join(temporaryFolder(t), 'config.yaml');
  for (const [name, config] of Object.entries(presets)) {
    writeFileSync(path, configText(config));
    t.deepEqual(await readRunConfig(path), config, name);
  }
});

test('another source does not keep the test images of those before', async (t) => {
  const testOf = async (overrides: string[], file?: string) =>
    (await loadConfig({ preset: 'dino-tiny', file, overrides })).data.test;
  t.is(await testOf([]), 'flora:test=1,images=600');
  t.is(await testOf(['data.source=photos']), null);
  t.is(await testOf(['data.test=mine', 'data.source=photos']), 'mine');
  const file = join(temporaryFolder(t), 'mine.yaml');
  writeFileSync(file, 'data: { source: photos }\n');
  t.is(await testOf([], file), null);
  writeFileSync(file, 'data: { source: photos, test: others }\n');
  t.is(await testOf(['seed=1'], file), 'others');
  t.is(await testOf(['data.source=more'], file), null);
});
