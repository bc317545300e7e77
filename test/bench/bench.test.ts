import test from 'ava';
import { type BenchLine, bench } from '../../lib/bench/index.js';

test('a case gives one line with its shape, times and memory', async (t) => {
  const lines: BenchLine[] = [];
  for await (const line of bench({ op: 'attention', rounds: 1 })) lines.push(line);
  t.is(lines.length, 1);
  t.like(lines[0], { op: 'attention', impl: 'protea', shape: { images: 32, heads: 4 } });
  t.true(lines[0]!.ms_min > 0 && lines[0]!.bytes_peak > 0);
});
