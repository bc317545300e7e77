// What a run says about itself: its prototypes on the way, its features at the end.
import { type CropLoader, type Dataset, spreadRows } from '../data/index.js';
import { type EvalSplit, judged, type KnnReport, knnOf, networkFeatures } from '../eval/index.js';
import { recipes } from '../ssl/index.js';
import type { TrainConfig } from './config.js';
import { type Inspection, inspect } from './inspect.js';
import { featureOptions } from './model.js';
import type { Schedules } from './schedules.js';
import type { TrainingStep } from './training-step.js';

/** Images over which assignments are averaged in a diagnosis. */
const inspectedImages = 512;

/** A run as far as it is judged. */
export interface JudgedRun {
  config: TrainConfig;
  dataset: Dataset;
  /** What its features are judged by; undefined where there are no labels. */
  split: EvalSplit | undefined;
  loader: CropLoader;
  schedules: Schedules;
  training: TrainingStep;
}

/** Prototypes and assignments after `done` steps. */
export function inspectRun(run: JudgedRun, done: number): Promise<Inspection> {
  const { data, crops, run: settings, method } = run.config;
  const { teacherTemperature, patchTemperature } = run.schedules;
  const temperature = recipes[method].main.tokens === 'cls' ? teacherTemperature : patchTemperature;
  return inspect(run.training.method, {
    epsilon: settings.epsilon,
    teacherTemperature: temperature(Math.max(0, done - 1)),
    cache: run.loader.cache,
    rows: spreadRows(run.dataset.samples.length, inspectedImages),
    size: crops.globalSize,
    normalisation: data,
  });
}

/** kNN accuracy of the teacher's features; null where the images have no labels. */
export async function knnOfRun(run: JudgedRun): Promise<KnnReport | null> {
  const { config, split, training } = run;
  if (!split) return null;
  const { backbone } = training.method.teacher;
  const features = await networkFeatures(backbone, split, featureOptions(config));
  return judged(features, (made) => knnOf(made, { k: config.eval.k }));
}
