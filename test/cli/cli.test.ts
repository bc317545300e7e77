import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { encodeNpy } from '../../lib/formats/npy.js';
import { normals } from '../../lib/nn/index.js';
import { main, protea } from '../support/cli.js';
import { temporaryFolder } from '../support/folder.js';
import { smallOverrides } from '../support/small-run.js';

const longTail = ['--data', 'flora:images=120,classes=6,size=20,longtail=20'];

test.serial('train --json: stdout holds events only, the last one is the end', (t) => {
  const out = join(temporaryFolder(t), 'run');
  const { status, stdout } = protea('train', '--json', '--out', out, ...smallOverrides(6));
  t.is(status, 0);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.is(events[0].event, 'start');
  t.like(events.at(-1), {
    event: 'end',
    steps: 6,
    prototypes: { total: 64, epsilon: 0.025, rule: 'greedy', of: 'teacher' },
  });

  const diagnosis = protea('diagnose', out, '--json');
  t.is(diagnosis.status, 0);
  const document = JSON.parse(diagnosis.stdout);
  t.deepEqual(
    document.heads.map((head: { name: string }) => head.name),
    ['student.head.last_layer.weight_v', 'teacher.head.last_layer.weight_v'],
  );
  t.false('report' in document);
  const page = join(out, 'report', 'diagnosis.html');
  const failing = protea('diagnose', out, out, '--fail-on', 'unique<=1', '--report', page);
  t.is(failing.status, 5);
  t.regex(failing.stdout, /^(all \d+|\d+ of 64) prototypes are distinct at 0\.025/);
  t.true(failing.stdout.includes(`report: ${page}`) && existsSync(page));
  t.is(protea('diagnose', out, '--json', '--fail-on', 'unique<0.0001').status, 0);
  t.is(protea('diagnose', out, '--no-report', '--fail-on', 'nothing<1').status, 2);
  t.is(protea('diagnose', out, '--tensor', 'nothing').status, 4);

  const knn = protea('eval', 'knn', '--checkpoint', out, '--json');
  t.is(knn.status, 0, knn.stderr);
  const report = JSON.parse(knn.stdout.trim().split('\n').at(-1)!);
  t.true(report.knn.top1 >= 0 && report.baselines.pixels.top1 >= 0);

  const array = join(out, 'features.npy');
  const own = join(out, 'features.csv');
  writeFileSync(own, 'a list of my own');
  const made = protea('features', '--checkpoint', out, ...longTail, '--out', array);
  t.is(made.status, 0, made.stderr);
  t.regex(made.stdout, /^121 images, 64 numbers each: /);
  t.is(readFileSync(own, 'utf8'), 'a list of my own');
  const listed = ['--labels', join(out, 'features.names.csv'), '--max-images', '5', '--json'];
  const again = protea('features', '--checkpoint', out, ...longTail, '--out', array, ...listed);
  t.like(JSON.parse(again.stdout), { event: 'end', images: 5, dim: 64, features: array });
  t.is(protea('features', '--checkpoint', out, ...longTail, '--out', out).status, 2);

  const linear = protea('eval', 'linear', '--checkpoint', out, '--json', '--device', 'cpu');
  t.is(linear.status, 0, linear.stderr);
  const judged = JSON.parse(linear.stdout.trim().split('\n').at(-1)!);
  t.true(judged.linear.top1 >= 0 && judged.baselines.untrained.top1 >= 0);
  const tailed = protea('eval', 'linear', '--checkpoint', out, '--no-baselines', ...longTail);
  t.regex(tailed.stdout, /^linear, C = .*\n {2}teacher .* head \d.* tail \d/);
  t.is(protea('eval', 'linear', '--checkpoint', out, '--max-images', '0').status, 2);
});

test.serial('errors are one message, one JSON line, and an exit code', (t) => {
  const config = protea('train', '--json', 'optim.lernrate=1');
  t.is(config.status, 2);
  t.like(JSON.parse(config.stdout.trim().split('\n').at(-1)!), {
    event: 'error',
    code: 'ERR_PROTEA_CONFIG',
  });
  const out = join(temporaryFolder(t), 'run');
  const data = protea('train', '--data', '/nowhere', '--out', out);
  t.is(data.status, 4);
  t.regex(data.stderr, /\/nowhere: no such file or folder/);
  t.false(existsSync(join(out, 'config.yaml')));
  t.is(protea('train', '--device', 'cuda', '--out', out).status, 3);
  t.is(protea('train', '--no-such-flag').status, 2);
  t.is(protea('nonsense').status, 2);
});

test.serial('doctor and help succeed', (t) => {
  t.is(protea('doctor', '--json').status, 0);
  t.is(protea('--help').status, 0);
  t.regex(protea('train', '--help').stdout, /Examples:/);
});

test.serial('config shows presets with comments, and the schema', (t) => {
  const shown = protea('config', 'show', 'msn-tiny', 'optim.batch=4');
  t.is(shown.status, 0, shown.stderr);
  t.regex(shown.stdout, /^# msn-tiny\n# Source: facebookresearch\/msn/);
  t.regex(shown.stdout, /batch: 4 # Images a step\./);
  t.is(JSON.parse(protea('config', 'show', 'msn-tiny', '--json').stdout).method, 'msn');
  const file = join(temporaryFolder(t), 'mine.yaml');
  writeFileSync(file, 'preset: msn-tiny\noptim: { batch: 6 }\n');
  const ofFile = JSON.parse(protea('config', 'show', '--config', file, 'seed=3', '--json').stdout);
  t.like(ofFile, { method: 'msn', seed: 3, optim: { batch: 6 } });
  t.is(JSON.parse(protea('config', 'schema').stdout).type, 'object');
  t.true(protea('config', 'presets').stdout.split('\n').includes('dinov2-gmm-vitb16'));
  const wrong = protea('config', 'show', 'dino-kp-tyni');
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /Did you mean "dino-kp-tiny"/);
});

test.serial('compare repeats an experiment and says where the plots are', (t) => {
  const out = join(temporaryFolder(t), 'runs');
  const flags = ['--seeds', '1', '--variants', 'baseline', '--prototypes', '32', '--images', '40'];
  const small = smallOverrides(4, ['optim.batch=8']);
  const made = protea('compare', 'prototypes', ...flags, '--steps', '2', '--out', out, ...small);
  t.is(made.status, 0, made.stderr);
  t.regex(made.stdout, /^\| baseline \| 32 \| 32 \| /m);
  t.regex(made.stderr, /baseline-k32-seed0: run 1 of 1\n40 images/);
  t.true(existsSync(join(out, 'index.html')));
  t.is(protea('compare', 'nothing').status, 2);
  t.is(protea('compare', 'targets', '--variants', 'sinkhorn,nothing').status, 2);
  t.is(protea('compare', 'targets', '--prototypes', '32').status, 2);
});

test.serial('methods trains what is asked for and prints a table', (t) => {
  const out = join(temporaryFolder(t), 'runs');
  const made = protea('methods', '--methods', 'dino,ibot-gmm', '--out', out, ...smallOverrides(4));
  t.is(made.status, 0, made.stderr);
  t.regex(made.stdout, /`dino-tiny` \| 4 \|.*\n.*`ibot-gmm-tiny` \| 4 \|/);
  t.true(existsSync(join(out, 'table.md')));
  t.is(protea('methods', '--methods', 'dono').status, 2);
  t.is(protea('methods', '--budget', '0').status, 2);
});

test.serial('a page that cannot be written: the answer, a typed error, nothing left', (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'w.npy');
  writeFileSync(file, encodeNpy(normals(1, 0, 0, 64 * 8), [64, 8]));
  const page = join(folder, 'pages', 'page.html');
  // A limit on the size of files stops a write half way, as a full disk does.
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['-c', 'ulimit -f 4; exec "$@"', 'bash', process.execPath, main].concat([
      'diagnose',
      file,
      '--report',
      page,
    ]),
    { encoding: 'utf8', timeout: 300_000 },
  );
  t.is(status, 1, stderr);
  t.regex(stdout, /^all 64 prototypes are distinct/);
  t.false(stdout.includes('report:'));
  t.regex(stderr, /error: .*page\.html was not written: files may not grow that large here/);
  t.deepEqual(readdirSync(join(folder, 'pages')), []);

  const inTheWay = protea('diagnose', file, '--json', '--report', join(file, 'page.html'));
  t.is(inTheWay.status, 1);
  const [document, error] = inTheWay.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.is(document.heads[0].unique, 64);
  t.like(error, { event: 'error', code: 'ERR_PROTEA_WRITE' });
});
