import test from 'ava';
import { lineChart, page, prototypeMap, ticks } from '../../lib/report/index.js';

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
