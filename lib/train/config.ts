import { z } from 'zod';
import { vitSizes } from '../nn/index.js';
import { targetKinds } from '../ssl/index.js';

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const count = z.int().min(1);
const range = z.tuple([share, share]);
const triple = z.tuple([z.number(), z.number(), z.number()]);
const sizes = Object.keys(vitSizes) as [keyof typeof vitSizes];

/** Everything a run depends on. docs/config.md is written from the descriptions. */
export const configSchema = z.strictObject({
  method: z.literal('dino').describe('The recipe that composes head, loss and regularizers.'),
  seed: z.int().min(0).describe('Seed of every random choice.'),
  data: z.strictObject({
    source: z.string().min(1).describe('Training images: see docs/data.md.'),
    labels: z.string().nullable().describe('CSV "path_or_index,label": the subset to use.'),
    test: z
      .string()
      .nullable()
      .describe('Labelled images for kNN; null: every fifth training image.'),
    workers: count.describe('Batches prepared at the same time; does not change the result.'),
    cacheBytes: z.number().min(0).describe('Memory for decoded pictures.'),
    maxBadFraction: share.describe('Share of unreadable pictures that stops the run.'),
    mean: triple.describe('Channel means of the normalisation.'),
    std: triple.describe('Channel standard deviations of the normalisation.'),
  }),
  crops: z.strictObject({
    globalSize: count.describe('Pixels of the two global crops.'),
    globalScale: range.describe('Their share of the picture.'),
    local: z.int().min(0).max(64).describe('Number of local crops.'),
    localSize: count.describe('Pixels of the local crops.'),
    localScale: range.describe('Their share of the picture.'),
    colour: z.number().min(0).max(2).describe('Strength of the changes of colour; 1: as DINO.'),
    blur: z
      .tuple([share, share, share])
      .describe('Probability of blur: first and second global, local.'),
    flip: share.describe('Probability of a horizontal flip.'),
  }),
  model: z.strictObject({
    size: z.enum(sizes).describe('Width, depth and heads of the vision transformer.'),
    patchSize: count.describe('Pixels of a patch.'),
    registers: z.int().min(0).describe('Register tokens.'),
    layerScale: z.number().nullable().describe('Initial LayerScale, or null.'),
    dropPath: share.describe('Drop path of the last block.'),
  }),
  head: z.strictObject({
    prototypes: z.int().min(2).describe('K.'),
    hiddenDim: count.describe('Width of the hidden layers.'),
    bottleneckDim: count.describe('Dimension of the prototypes.'),
    layers: count.describe('Linear layers before the prototypes.'),
    normLastLayer: z.boolean().describe("Fixes the prototypes' magnitudes at 1."),
    vmf: z.boolean().describe('Von Mises-Fisher logits; needs normLastLayer: false.'),
  }),
  loss: z.strictObject({
    studentTemperature: positive,
    teacherTemperature: positive.describe('After its warm-up.'),
    teacherTemperatureStart: positive.describe('At the start of its warm-up.'),
    teacherWarmup: share.describe('Share of the run over which it rises.'),
    targets: z
      .enum(targetKinds)
      .describe('How the teacher is kept from using one prototype for all: its targets.'),
    centerMomentum: share.describe("Momentum of the teacher's centre."),
    koleoProto: z.number().min(0).describe('Weight of KoLeo-proto; 0: plain DINO.'),
    koleo: z
      .number()
      .min(0)
      .describe('Weight of KoLeo on the CLS features of each global crop, as in DINOv2.'),
  }),
  optim: z.strictObject({
    batch: count.describe('Images a step.'),
    epochs: positive.nullable().describe('Passes over the data; or give steps.'),
    steps: count.nullable().describe('Steps; takes precedence over epochs.'),
    lr: positive.describe('Peak learning rate, not scaled by the batch.'),
    lrEnd: z.number().min(0),
    warmup: share.describe('Share of the run over which the learning rate rises from 0.'),
    weightDecay: z.number().min(0),
    weightDecayEnd: z.number().min(0),
    clip: z.number().min(0).describe("Limit of each parameter's gradient norm; 0: none."),
    beta2: share,
    momentum: share.describe('EMA momentum at the start; rises to 1 on a cosine.'),
    freezeLastLayer: share.describe('Share of the run in which the prototypes stand still.'),
  }),
  run: z.strictObject({
    device: z
      .enum(['auto', 'cpu', 'cuda'])
      .describe('Where the run computes; auto: the GPU if there is one, else the CPU.'),
    logEvery: count.describe('Steps between step events.'),
    diagnoseEvery: count.describe('Steps between counts of unique prototypes.'),
    checkpointEvery: count.describe('Steps between checkpoints.'),
    keep: count.describe('Checkpoints kept.'),
    epsilon: z
      .number()
      .min(0)
      .max(2)
      .describe('Cosine distance below which prototypes are copies.'),
  }),
  eval: z.strictObject({
    k: count.describe('Neighbours of kNN.'),
    maxImages: count.describe('Training images used by kNN and MLCD at most.'),
  }),
});

export type TrainConfig = z.infer<typeof configSchema>;

/**
 * The part of a config that decides what a run computes: how often it logs, how many workers it has
 * and how it is judged may change between two starts.
 */
export function lasting(config: TrainConfig) {
  const { run, eval: _eval, data, ...rest } = config;
  const { workers: _workers, cacheBytes: _cacheBytes, ...source } = data;
  return { ...rest, data: source };
}

export type LastingConfig = ReturnType<typeof lasting>;
