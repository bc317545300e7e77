import test from 'ava';
import { Experiment, labNames, labPage } from '../../lib/lab/index.js';
import { native } from '../../lib/native.js';

test('a short run falls from its first loss, and its page holds curves and maps', async (t) => {
  const points: { step: number; loss: number; unique: number }[] = [];
  const result = await new Experiment('dino-kp', 0, 300).run((point) => points.push(point));
  t.deepEqual(
    points.map(({ step }) => step),
    [150, 300],
  );
  t.true(points[1]!.loss < points[0]!.loss);
  t.is(result.prototypes.total, 512);
  const html = labPage([{ ...result, points }], 1);
  t.regex(html, /DINO with KoLeo-proto/);
  t.is(html.match(/<circle class="dot/g)?.length, 512);
  t.false(/NaN|undefined/.test(html));
});

test('a run is the same every time, on any number of threads', async (t) => {
  const run = (threads: number) => {
    native((addon) => addon.setThreads(threads));
    return new Experiment('dino-kp', 3, 60).run(() => undefined);
  };
  const [a, b] = [await run(1), await run(3)];
  t.is(a.loss, b.loss);
  t.deepEqual(a.directions, b.directions);
});

for (const name of labNames)
  test(`${name}: a few steps leave finite numbers`, async (t) => {
    const { loss, prototypes, mlcd } = await new Experiment(name, 1, 30).run(() => undefined);
    t.true(Number.isFinite(loss) && Number.isFinite(mlcd.all.entropy));
    t.is(prototypes.total, 512);
  });
