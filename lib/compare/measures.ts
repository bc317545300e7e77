import type { KnnReport, LinearReport } from '../eval/index.js';
import type { RunResult } from './runs.js';

/** What is measured of a network; of an untrained one only its features are. */
export interface Measured {
  knn: KnnReport | null;
  linear: LinearReport | null;
  prototypes: RunResult['prototypes'] | null;
  mlcd: RunResult['mlcd'];
}

interface Measure {
  title: string;
  digits: number;
  of: (result: Measured) => number | null | undefined;
}

type Group = 'head' | 'medium' | 'tail';

const inGroup = (judge: 'knn' | 'linear', group: Group): Measure => ({
  title: `${judge === 'knn' ? 'kNN' : 'linear'}, ${group}, %`,
  digits: 1,
  of: (result) => result[judge]?.groups?.[group],
});

/** Columns of the tables, by name. */
export const measures = {
  unique: { title: 'unique prototypes', digits: 0, of: (r) => r.prototypes?.unique },
  share: {
    title: 'of K, %',
    digits: 1,
    of: ({ prototypes: p }) => p && (100 * p.unique) / p.total,
  },
  mlcd: { title: 'MLCD entropy', digits: 2, of: (r) => r.mlcd?.all },
  mlcdUnique: { title: 'over unique', digits: 2, of: (r) => r.mlcd?.unique },
  knn: { title: 'kNN, %', digits: 1, of: (r) => r.knn?.top1 },
  knnHead: inGroup('knn', 'head'),
  knnMedium: inGroup('knn', 'medium'),
  knnTail: inGroup('knn', 'tail'),
  linear: { title: 'linear, %', digits: 1, of: (r) => r.linear?.top1 },
  linearHead: inGroup('linear', 'head'),
  linearMedium: inGroup('linear', 'medium'),
  linearTail: inGroup('linear', 'tail'),
} as const satisfies Record<string, Measure>;

export type MeasureName = keyof typeof measures;
