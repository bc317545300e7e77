// What eval says of images that it cannot use.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { png } from '../support/archives.js';
import { protea } from '../support/cli.js';
import { temporaryFolder } from '../support/folder.js';
import { train } from '../support/small-run.js';

/** Six pictures of each of two classes; the first of class b is damaged. */
async function classFolders(folder: string): Promise<string> {
  for (const name of ['a', 'b']) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < 6; i++)
      writeFileSync(join(folder, name, `${i}.png`), await png(40 * i + (name === 'b' ? 20 : 0)));
  }
  writeFileSync(join(folder, 'b', '0.png'), 'no picture');
  return folder;
}

test.serial('eval names what it leaves out, and the set that has no labels', async (t) => {
  const folder = temporaryFolder(t);
  const out = join(folder, 'run');
  await train(out, 1);
  const data = await classFolders(join(folder, 'train'));
  const other = await classFolders(join(folder, 'test'));
  symlinkSync('nowhere', join(data, 'link'));
  symlinkSync('nowhere', join(other, 'link'));
  const flags = ['eval', 'knn', '--checkpoint', out, '--data', data, '--device', 'cpu'];

  const { status, stdout, stderr } = protea(...flags, '--test', other, '--json');
  t.is(status, 0, stderr);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.deepEqual(
    events.slice(0, -1).map(({ event, message }) => [event, message.split(':')[0]]),
    [
      ['warning', join(data, 'link')],
      ['warning', join(other, 'link')],
      ['warning', `skipped ${join(data, 'b', '0.png')}`],
      ['warning', `skipped ${join(other, 'b', '0.png')}`],
    ],
  );
  t.like(events.at(-1), { event: 'end', train: 11, test: 11 });

  const flat = protea(...flags, '--test', join(other, 'a'), '--no-baselines');
  t.is(flat.status, 4);
  t.true(flat.stderr.includes(`error: ${join(other, 'a')} has no labels\n`), flat.stderr);
  t.true(flat.stderr.includes(`warning: ${join(data, 'link')}: the link cannot be followed`));
  const none = protea(...flags, '--data', join(data, 'a'), '--test', join(other, 'a'));
  t.is(none.status, 4);
  t.true(none.stderr.includes(`error: ${join(data, 'a')} has no labels of two classes`));
});
