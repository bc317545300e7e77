// How the addon behaves in a process: it ends, it loads in worker threads, it never blocks the loop.
import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { linear, scope, zeros } from '../../lib/tensor/index.js';

const library = new URL('../../lib/tensor/index.js', import.meta.url).href;

const run = (code: string) =>
  spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `const p = await import(${JSON.stringify(library)}); ${code}`],
    { encoding: 'utf8', timeout: 60_000 },
  );

const work = 'let x = p.zeros([512, 512]); for (let i = 0; i < 200; i++) x = p.linear(x, x);';

test('a process ends by itself when its work is done', (t) => {
  const { status, stdout } = run(`${work} console.log((await x.read()).length);`);
  t.is(status, 0);
  t.is(stdout.trim(), '262144');
});

test('a process may exit while work is queued and awaited', (t) => {
  const { status, signal } = run(`${work} x.read(); setTimeout(() => process.exit(7), 5);`);
  t.is(signal, null);
  t.is(status, 7);
});

test('worker threads load the addon and may be terminated at work', async (t) => {
  const code = `import(${JSON.stringify(library)}).then(async (p) => { ${work} require('node:worker_threads').parentPort.postMessage('busy'); await x.read(); });`;
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
  t.is((await zeros([2]).read()).length, 2);
});

test('op calls return before their work is done', async (t) => {
  const x = zeros([1024, 1024]);
  let finished = false;
  const y = scope(() => {
    let y = linear(x, x);
    for (let i = 0; i < 30; i++) y = linear(y, x);
    return y;
  });
  const reading = y.read().then(() => {
    finished = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  t.false(finished, 'the event loop turned while the work went on');
  await reading;
});
