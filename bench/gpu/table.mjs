// One table of a result: every op with its error, and its times where it was timed.
const columns = [
  ['op', (row) => row.op],
  ['shape', (row) => shape(row.shape)],
  ['precision', (row) => row.precision],
  ['error', (row) => number(row.error?.error)],
  ['allowed', (row) => number(row.error?.tolerance)],
  ['ms', (row) => number(row.protea?.ms)],
  ['floor ms', (row) => number(row.floor)],
  ['of floor', (row) => ratio(row.protea?.ms, row.floor)],
  ['eager ms', (row) => time(row['torch-eager'])],
  ['eager / ours', (row) => ratio(row['torch-eager']?.ms, row.protea?.ms)],
  ['compile ms', (row) => time(row['torch-compile'])],
  ['compile / ours', (row) => ratio(row['torch-compile']?.ms, row.protea?.ms)],
];

const known = (value) => typeof value === 'number' && Number.isFinite(value);
const number = (value) => (known(value) ? String(Number(value.toPrecision(3))) : '-');
const ratio = (a, b) => (known(a) && known(b) && b > 0 ? `${number(a / b)}x` : '-');
const time = (entry) => entry?.error ?? number(entry?.ms);
const shape = (of) =>
  of
    ? Object.entries(of)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')
    : '-';

function rows({ ops, bench }) {
  const errors = [...(ops?.native?.errors ?? []), ...(bench?.errors ?? [])];
  const same = (a) => (b) => a.op === b.op && a.precision === b.precision;
  const timed = (bench?.cases ?? []).map((row) => ({ ...row, error: errors.find(same(row)) }));
  const others = errors.filter((error, i) => {
    const first = errors.findIndex(same(error)) === i;
    return first && !timed.some((row) => same(row)(error) && row.protea);
  });
  return [...timed, ...others.map((error) => ({ ...error, error }))];
}

export function table(parts) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map(([title]) => title)),
    line(columns.map(() => '---')),
    ...rows(parts).map((row) => line(columns.map(([, cell]) => cell(row)))),
  ].join('\n');
}

/** A line a part: did it pass, and if not, why. */
export function summary({ ops, sanitize, train, bench }) {
  const lines = [];
  const say = (name, part, text) => lines.push(`${part.ok ? 'ok' : 'FAILED'}  ${name}: ${text}`);
  if (ops) {
    const { native, typescript, golden } = ops;
    const counted = ({ passed, skipped, failed }) =>
      `${passed} passed, ${failed.length} failed, ${skipped} skipped`;
    say('ops', ops, `${native.programs - native.failed.length} of ${native.programs} native parts`);
    lines.push(`      tests ${counted(typescript)}; golden vectors ${counted(golden)}`);
    const failed = [...native.failed.map((f) => `${f.name}: ${f.why.join(' / ')}`)];
    for (const title of [...failed, ...typescript.failed, ...golden.failed])
      lines.push(`      ${title}`);
  }
  if (sanitize) {
    const { skipped, done, planned, failed } = sanitize;
    say(
      'sanitize',
      sanitize,
      skipped ?? `${done} of ${planned} runs, ${failed.length} with findings`,
    );
    for (const { name, why } of failed ?? []) lines.push(`      ${name}: ${why.join(' / ')}`);
  }
  if (train) {
    const { steps, firstDifference, endDifference, cpu, cuda } = train;
    const unique = (run) => `${run.unique?.unique} of ${run.unique?.total}`;
    say(
      'train',
      train,
      `${steps} steps, losses differ by ${number(firstDifference)} at first, ${number(endDifference)} at the end; unique prototypes ${unique(cpu)} on the CPU, ${unique(cuda)} on the GPU`,
    );
    for (const why of [...cpu.why, ...cuda.why]) lines.push(`      ${why}`);
  }
  if (bench) say('bench', bench, [`${bench.cases.length} cases`, ...bench.why].join('; '));
  return lines.join('\n');
}
