// The comparisons of Govindarajan et al. 2024 ("On partial prototype collapse in the DINO family of
// self-supervised methods") at small scale: what differs between runs, and what is looked at.
import type { MeasureName } from './measures.js';

export interface Variant {
  name: string;
  /** "key.sub=value" that makes it. */
  settings: readonly string[];
}

export interface PaperExperiment {
  title: string;
  /** What it asks, and where from. */
  lead: string;
  preset: string;
  /** On top of the preset, for every run. */
  settings: readonly string[];
  variants: readonly Variant[];
  /** K of the runs, each with every variant; none: that of the preset. */
  prototypes?: readonly number[];
  /** Fits a linear classifier too. */
  linear: boolean;
  /** Columns of the table; those that nothing can be said of are left out. */
  columns: readonly MeasureName[];
  /** What the page draws. */
  charts: readonly MeasureName[];
}

/** Without a regularizer, with KoLeo on the features, and with KoLeo on the prototypes. */
const koleos: readonly Variant[] = [
  { name: 'baseline', settings: ['loss.koleo=0', 'loss.koleoProto=0'] },
  { name: 'koleo-data', settings: ['loss.koleo=0.1', 'loss.koleoProto=0'] },
  { name: 'koleo-proto', settings: ['loss.koleo=0', 'loss.koleoProto=0.1'] },
];

/** Regularizations of the MLCD, and none: full collapse. */
const targets: readonly Variant[] = [
  { name: 'none', settings: ['loss.targets=none'] },
  { name: 'logit-centering', settings: ['loss.targets=logit-centering'] },
  { name: 'probability-centering', settings: ['loss.targets=probability-centering'] },
  { name: 'sinkhorn', settings: ['loss.targets=sinkhorn'] },
  { name: 'me-max', settings: ['loss.targets=none', 'loss.meMax=1'] },
];

/**
 * What lets runs of minutes learn on a CPU: batch norm in the head (examples/README.md), and patches
 * of 8 pixels, a quarter of the tokens and a third of the time.
 */
const short = ['model.patchSize=8', 'head.batchNorm=true', 'optim.batch=64', 'optim.steps=2000'];

/**
 * Where plain DINO shows partial collapse in minutes (docs/methods.md): fewer images than prototypes, so
 * that many must share one, and prototypes that forget where they began, by a fast rate and a strong
 * decay of their own.
 */
const collapsing = [
  ...['data.images=64', 'crops.local=0', 'model.patchSize=8', 'head.batchNorm=true'],
  ...['optim.batch=32', 'optim.steps=1500', 'optim.lr=1e-3', 'optim.prototypeLr=10'],
  ...['optim.weightDecay=4', 'optim.weightDecayEnd=4', 'optim.momentum=0.99', 'optim.clip=0'],
];

export const experiments = {
  prototypes: {
    title: 'Unique prototypes against K',
    lead: 'Figure 3, left, of Govindarajan et al. 2024: do more prototypes give more distinct ones?',
    preset: 'dino-tiny',
    settings: collapsing,
    variants: koleos,
    prototypes: [256, 512, 1024, 2048],
    linear: false,
    columns: ['unique', 'share', 'mlcd', 'mlcdUnique'],
    charts: ['unique', 'share', 'mlcd', 'mlcdUnique'],
  },
  targets: {
    title: 'Regularizations of the MLCD at equal compute',
    lead: 'Figure 2 of Govindarajan et al. 2024: what keeps the assignments from one prototype, and at what price?',
    preset: 'dino-tiny',
    settings: [...short, 'loss.koleo=0'],
    variants: targets,
    linear: false,
    columns: ['knn', 'unique', 'mlcd', 'mlcdUnique'],
    charts: ['knn', 'unique', 'mlcd', 'mlcdUnique'],
  },
  'long-tail': {
    title: 'Long-tailed images',
    lead: 'kNN and linear accuracy by thirds of the classes, as Govindarajan et al. 2024 on iNaturalist: does spreading the prototypes help the tail?',
    preset: 'dino-tiny',
    settings: [...short, 'data.source="flora:images=4000,classes=30,longtail=100"'],
    variants: koleos,
    linear: true,
    columns: [
      ...(['knn', 'knnHead', 'knnMedium', 'knnTail'] as const),
      ...(['linear', 'linearHead', 'linearMedium', 'linearTail', 'unique'] as const),
    ],
    charts: ['knn', 'knnHead', 'knnMedium', 'knnTail', 'linear', 'linearTail'],
  },
} as const satisfies Record<string, PaperExperiment>;

export type ExperimentName = keyof typeof experiments;
export const experimentNames = Object.keys(experiments) as ExperimentName[];
