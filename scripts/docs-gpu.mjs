// docs-gpu.mjs [RESULT]: writes docs/gpu-results.md, a row an op and precision: how far its emulated kernel
// is from the CPU's in f64, and what was measured on a GPU. RESULT: the result.json of a run of the
// bundle; without one the page says that there is none.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { head } from '../bench/gpu/summary.mjs';
import { number, ratio, rows } from '../bench/gpu/table.mjs';
import { build } from './build-native-tests.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const never = 'not yet run on hardware';

/** [{ op, precision, cases, error, tolerance }] of the emulated kernels. */
function emulated() {
  const { status, stdout } = spawnSync(build('plain'), ['agreement'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the emulated kernels disagree with the CPU:\n${stdout}`);
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line));
}

/** The cells of an op on the card: error, ms, floor, ratio; of several sizes one below another. */
function measured(found, { op, precision }) {
  const of = found.filter((row) => row.op === op && row.precision === precision);
  if (!of.length) return [never, '', '', ''];
  const timed = of.filter((row) => row.protea?.ms);
  const each = (cell) => timed.map(cell).join('<br>') || 'not timed';
  return [
    number(of[0].error?.error ?? of[0].error),
    each((row) => number(row.protea.ms)),
    each((row) => number(row.floor)),
    each((row) => ratio(row.protea.ms, row.floor)),
  ];
}

const path = process.argv[2];
const result = path && JSON.parse(readFileSync(path, 'utf8'));
const found = result ? rows(result.parts) : [];
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
  cwd: root,
  encoding: 'utf8',
});
const titles = ['op', 'precision', 'cases', 'emulated error', 'allowed'];
const line = (cells) => `| ${cells.join(' | ')} |`;
const ops = emulated();
const only = found.filter((a) => !ops.some((b) => a.op === b.op && a.precision === b.precision));
const table = [...ops, ...only].map((row) =>
  line([
    ...[row.op, row.precision, row.cases ?? '-'],
    ...(row.cases ? [number(row.error), number(row.tolerance)] : ['-', '-']),
    ...measured(found, row),
  ]),
);

writeFileSync(
  join(root, 'docs', 'gpu-results.md'),
  `# GPU kernels, one by one

Written by \`npm run docs:gpu [-- result.json]\`. Emulated at commit ${commit.trim()}: of all cases of an op, values and gradients, the one nearest to what it is allowed, as the largest distance to the CPU's kernel in f64 in parts of the array's largest number. On a card: the last verified run of the bundle ([gpu.md](gpu.md#on-an-offline-gpu-machine)), milliseconds beside the floor, which is the least operations or bytes of the op at the rates that the card reached in the same run.

${result ? `Last verified run: ${head(result).replaceAll('\n', ', ')}.` : `Last verified run: none, ${never}.`}

${line([...titles, 'error on a card', 'ms', 'floor ms', 'of floor'])}
${line(Array(9).fill('---'))}
${table.join('\n')}
`,
);
