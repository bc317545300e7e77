import { openData } from '../data/index.js';
import {
  type EvalSplit,
  evalSplit,
  judged,
  type KnnReport,
  knnOf,
  type LinearReport,
  linearOf,
  networkFeatures,
} from '../eval/index.js';
import {
  featureOptions,
  freshMethod,
  type MethodState,
  readCheckpoint,
  restoredMethod,
  type TrainConfig,
  trainingData,
} from '../train/index.js';

/** What frozen features are worth; null without labels, or where it was not asked for. */
export interface Judged {
  knn: KnnReport | null;
  linear: LinearReport | null;
}

const nothing: Judged = { knn: null, linear: null };

async function splitOf({ data, eval: options }: TrainConfig): Promise<EvalSplit | undefined> {
  const test = data.test ? await openData(data.test) : undefined;
  return evalSplit(await trainingData(data), test, options.maxImages);
}

/** Judges teachers, and remembers untrained networks: runs that differ in their losses share one. */
export class Judge {
  private readonly untrainedBy = new Map<string, Judged>();

  constructor(private readonly linear: boolean) {}

  private async of(config: TrainConfig, state: () => MethodState): Promise<Judged> {
    const split = await splitOf(config);
    if (!split) return nothing;
    const { backbone } = state().method.teacher;
    const features = await networkFeatures(backbone, split, featureOptions(config));
    return judged(features, async (made) => ({
      knn: await knnOf(made, { k: config.eval.k }),
      linear: this.linear ? await linearOf(made) : null,
    }));
  }

  /** The network before training. */
  async untrained(config: TrainConfig): Promise<Judged> {
    const { seed, data, model, crops, eval: options } = config;
    const { pool } = featureOptions(config);
    const key = JSON.stringify([seed, data, model, crops.globalSize, options, pool]);
    const found = this.untrainedBy.get(key) ?? (await this.of(config, () => freshMethod(config)));
    this.untrainedBy.set(key, found);
    return found;
  }

  /** The teacher of a checkpoint, whose kNN is known. */
  async trained(config: TrainConfig, path: string, knn: KnnReport | null): Promise<Judged> {
    if (!this.linear) return { knn, linear: null };
    const checkpoint = await readCheckpoint(path);
    return this.of(config, () => restoredMethod(config, checkpoint));
  }
}
