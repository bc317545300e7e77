// train-run.mjs DEVICE STEPS [SETTING...]: trains a small network on the procedural data set; a JSON line
// a step.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, Trainer } from '../../dist/lib/train/index.js';

const [device, steps, ...more] = process.argv.slice(2);
const settings = [
  'data.source=flora:images=256,classes=4,size=24',
  'data.test=null',
  'crops.globalSize=16',
  'crops.localSize=8',
  'crops.local=2',
  'head.prototypes=256',
  'head.hiddenDim=64',
  'head.bottleneckDim=32',
  'optim.batch=16',
  `optim.steps=${steps}`,
  'run.logEvery=1',
  `run.diagnoseEvery=${steps}`,
  `run.checkpointEvery=${steps}`,
  'eval.maxImages=24',
  `run.device=${device}`,
  ...more,
];
const folder = mkdtempSync(join(tmpdir(), 'protea-'));
const trainer = await Trainer.open(await loadConfig({ overrides: settings }), folder);
try {
  for await (const event of trainer.run({})) {
    if (event.event === 'step')
      console.log(JSON.stringify({ step: event.step, loss: event.loss, losses: event.losses }));
    if (event.event === 'end') console.log(JSON.stringify({ end: true, unique: event.prototypes }));
  }
} finally {
  await trainer.close();
  rmSync(folder, { recursive: true, force: true });
}
