// One table of a result: every op with its error, and its times where it was timed.
const columns = [
  ['op', (row) => row.op],
  ['shape', (row) => shape(row.shape)],
  ['precision', (row) => row.precision],
  ['error', (row) => number(row.error?.error)],
  ['allowed', (row) => number(row.error?.tolerance)],
  ['ms', (row) => number(row.protea?.ms)],
  ['as graphs ms', (row) => number(row.protea?.graphs)],
  ['floor ms', (row) => number(row.floor)],
  ['of floor', (row) => ratio(row.protea?.ms, row.floor)],
  ['eager ms', (row) => time(row['torch-eager'])],
  ['eager / ours', (row) => ratio(row['torch-eager']?.ms, row.protea?.ms)],
  ['compile ms', (row) => time(row['torch-compile'])],
  ['compile / ours', (row) => ratio(row['torch-compile']?.ms, row.protea?.ms)],
];

const known = (value) => typeof value === 'number' && Number.isFinite(value);
export const number = (value) => (known(value) ? String(Number(value.toPrecision(3))) : '-');
export const ratio = (a, b) => (known(a) && known(b) && b > 0 ? `${number(a / b)}x` : '-');
const time = (entry) => entry?.error?.slice(0, 60).replaceAll(/[|\s]+/g, ' ') ?? number(entry?.ms);
const shape = (of) =>
  of
    ? Object.entries(of)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ')
    : '-';

export function rows({ ops, bench }) {
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
  const found = rows(parts);
  if (!found.length) return '';
  return [
    line(columns.map(([title]) => title)),
    line(columns.map(() => '---')),
    ...found.map((row) => line(columns.map(([, cell]) => cell(row)))),
  ].join('\n');
}
