import test from 'ava';
import { dotChart, lineChart, page, prototypeMap, ticks } from '../../lib/report/index.js';

test('ticks are round and lie within the range', (t) => {
  t.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  t.deepEqual(ticks(0.2, 0.9, 4), [0.2, 0.4, 0.6000000000000001, 0.8]);
  t.true(ticks(5, 5, 4).length >= 1);
});

test('a chart draws finite points only, and escapes its names', (t) => {
  const points = [
    [0, 1],
    [1, Number.NaN],
    [2, 3],
  ] as const;
  const svg = lineChart([{ name: 'a < b', style: 'a', points }], { title: 'T', x: 'x', y: 'y' });
  t.is(/points="([^"]*)"/.exec(svg)![1]!.split(' ').length, 2);
  t.true(svg.includes('a &lt; b'));
  t.false(svg.includes('NaN'));
  t.is(lineChart([{ name: 'a', style: 'a', points: [] }], { title: '', x: '', y: '' }), '');
});

test('a spread is a line through its point, and dots are one a value', (t) => {
  const points = [
    [1, 10, 2],
    [2, 20],
  ] as const;
  const chart = lineChart([{ name: 'a', style: 'a', points }], { title: 'T', x: 'x', y: 'y' });
  t.is(chart.match(/class="spread"/g)!.length, 1);
  const rows = [
    { name: 'a < b', values: [1, 2, 3] },
    { name: 'c', values: [5] },
  ];
  const dots = dotChart(rows, { title: 'T', digits: 1 });
  t.is(dots.match(/<circle/g)!.length, 4);
  t.regex(dots, /a &lt; b.*>2\.0<.*>5\.0</);
  t.is(dotChart([], { title: 'T', digits: 1 }), '');
});

test('copies are marked on the map', (t) => {
  const rows = Float32Array.from([1, 0, 1, 0.001, 0, 1]);
  const svg = prototypeMap(rows, 2, Int32Array.from([0, 0, 1]), 'map');
  t.is(svg.match(/dot copy/g)?.length, 2);
});

test('a page stands alone', (t) => {
  const html = page('Title', 'Lead', '<p>body</p>');
  t.false(/https?:\/\//.test(html));
  t.regex(html, /<title>Title<\/title>/);
});
