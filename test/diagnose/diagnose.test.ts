import test from 'ava';
import fc from 'fast-check';
import {
  findUnique,
  groupsOf,
  mergeCopies,
  spreadOf,
  uniformCollapse,
  verdict,
} from '../../lib/diagnose/index.js';
import { tensor } from '../../lib/tensor/index.js';

test('groups, sizes and redundancy add up', (t) => {
  const groups = groupsOf([0, 0, 2, 0, 2, 5], 0.1, 'greedy');
  t.deepEqual([...groups.rows], [0, 2, 5]);
  t.deepEqual([...groups.group], [0, 0, 1, 0, 1, 2]);
  t.deepEqual([...groups.sizes], [3, 2, 1]);
  t.deepEqual(groups.redundancy, { max: 3, mean: 2, histogram: { '1': 1, '2': 1, '3-4': 1 } });
});

test('unique prototypes of any set: bounds that always hold', async (t) => {
  const angles = fc.array(fc.double({ min: 0, max: 6.28, noNaN: true }), {
    minLength: 1,
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(
      angles,
      fc.double({ min: 0.001, max: 0.5, noNaN: true }),
      async (a, epsilon) => {
        const w = tensor(
          a.flatMap((x) => [Math.cos(x), Math.sin(x)]),
          [a.length, 2],
        );
        const greedy = await findUnique(w, { epsilon });
        const joined = await findUnique(w, { epsilon, rule: 'components' });
        w.dispose();
        t.true(joined.unique <= greedy.unique && greedy.unique <= a.length && joined.unique >= 1);
        t.is(
          greedy.sizes.reduce((x, y) => x + y, 0),
          a.length,
        );
      },
    ),
    { numRuns: 30 },
  );
});

test('copies do not change the entropy over unique prototypes', (t) => {
  const group = Int32Array.from([0, 0, 1]);
  const merged = mergeCopies([0.25, 0.25, 0.5], group, 2);
  t.deepEqual([...merged], [0.5, 0.5]);
  t.true(Math.abs(spreadOf(merged).normalized - 1) < 1e-12);
  t.is(spreadOf([1]).normalized, 0);
  t.is(spreadOf([1, 0]).entropy, 0);
});

test('verdicts say what a count means', (t) => {
  const of = (total: number, unique: number, max: number) =>
    verdict({ total, unique, epsilon: 0.025, redundancy: { max, mean: 1, histogram: {} } });
  t.is(of(100, 100, 1), 'all 100 prototypes are distinct at 0.025: no partial collapse');
  t.regex(of(100, 99, 2), /no partial collapse/);
  t.regex(of(100, 70, 9), /some prototypes are copies/);
  t.is(
    of(8192, 969, 412),
    '969 of 8192 prototypes are distinct at 0.025; the largest group holds 412 copies: partial prototype collapse',
  );
});

test('a loss at ln K is told, another is not', (t) => {
  t.regex(uniformCollapse(Math.log(1024), 1024)!, /ln K = 6\.931/);
  t.is(uniformCollapse(5, 1024), null);
});
