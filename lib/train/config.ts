import { z } from 'zod';
import { clipModes, vitSizes } from '../nn/index.js';
import {
  maskKinds,
  maskSamplings,
  methodNames,
  patchHeads,
  prototypeLayers,
  prototypeLearnings,
  targetKinds,
} from '../ssl/index.js';

/** Which parameters do not decay. */
export const decayRules = ['dino', 'dinov2'] as const;
export const momentumSchedules = ['cosine', 'linear'] as const;
export const freezes = ['gradient', 'rate'] as const;

const share = z.number().min(0).max(1);
const positive = z.number().positive();
const count = z.int().min(1);
const range = z.tuple([share, share]);
const triple = z.tuple([z.number(), z.number(), z.number()]);
const sizes = Object.keys(vitSizes) as [keyof typeof vitSizes];
const layers = Object.keys(prototypeLayers) as [keyof typeof prototypeLayers];
const temperature = z
  .number()
  .positive('a temperature must be above 0: logits are divided by it; 0.1 and 0.04 are usual');
const prototypeCount = z
  .int()
  .min(2, 'one prototype takes every image, so there is nothing to learn; give 2 or more');

/** Everything a run depends on. docs/config.md is written from the descriptions. */
export const configSchema = z.strictObject({
  method: z.enum(methodNames).describe('The recipe that composes head, targets and losses.'),
  seed: z.int().min(0).describe('Seed of every random choice.'),
  data: z.strictObject({
    source: z.string().min(1).describe('Training images: see docs/data.md.'),
    labels: z.string().nullable().describe('CSV "path_or_index,label": the subset to use.'),
    images: count.nullable().describe('Training images used at most, evenly spread; null: all.'),
    test: z
      .string()
      .nullable()
      .describe(
        'Labelled images for kNN; null: every fifth training image. null too where data.source is given without it.',
      ),
    workers: count.describe('Batches prepared at the same time; does not change the result.'),
    augment: z
      .enum(['auto', 'cpu', 'device'])
      .describe(
        "Where crops are made, from the same draws: on the CPU's worker threads, or from bytes on the device of the run; auto: device on a GPU.",
      ),
    cacheBytes: z.number().min(0).describe('Memory for decoded pictures.'),
    maxBadFraction: share.describe('Share of unreadable pictures that stops the run.'),
    mean: triple.describe('Channel means of the normalisation.'),
    std: triple.describe('Channel standard deviations of the normalisation.'),
  }),
  crops: z.strictObject({
    global: z.int().min(1).max(2).describe('Number of global crops: 2, but 1 for capi.'),
    globalSize: count.describe('Pixels of the global crops.'),
    globalScale: range.describe('Their share of the picture.'),
    local: z.int().min(0).max(64).describe('Number of local crops.'),
    localSize: count.describe('Pixels of the local crops.'),
    localScale: range.describe('Their share of the picture.'),
    colour: z.number().min(0).max(2).describe('Strength of the changes of colour; 1: as DINO.'),
    blur: z
      .tuple([share, share, share])
      .describe('Probability of blur: first and second global, local.'),
    solarize: share.describe('Probability of solarisation of the second global crop.'),
    flip: share.describe('Probability of a horizontal flip.'),
  }),
  mask: z.strictObject({
    kind: z
      .enum(maskKinds)
      .describe('How patches of the global crops are hidden from the student.'),
    sampling: z
      .enum(maskSamplings)
      .describe('crop: each draws its own ratio (iBOT); batch: in even steps (DINOv2).'),
    probability: share.describe('Share of the global crops that are masked.'),
    ratio: range.describe("Least and largest share of a masked crop's patches."),
    dropped: share.describe("Share of the anchor's patches that MSN leaves out."),
  }),
  model: z.strictObject({
    size: z.enum(sizes).describe('Width, depth and heads of the vision transformer.'),
    patchSize: count.describe('Pixels of a patch.'),
    registers: z.int().min(0).describe('Register tokens.'),
    layerScale: z.number().nullable().describe('Initial LayerScale, or null.'),
    dropPath: share.describe('Drop path of the last block.'),
    predictorDepth: z
      .int()
      .min(0)
      .describe('Blocks that predict the patches the encoder is not shown (CAPI); 0: mask tokens.'),
  }),
  head: z.strictObject({
    prototypes: prototypeCount.describe('K.'),
    hiddenDim: count.describe('Width of the hidden layers.'),
    bottleneckDim: count.describe('Dimension of the prototypes.'),
    layers: z.int().min(0).describe('Linear layers before the prototypes.'),
    batchNorm: z.boolean().describe('Batch norm in the hidden layers (MSN).'),
    layer: z
      .enum(layers)
      .describe(
        'Prototypes: weight-normed (DINO), linear (DINOv3), or shared by both networks (MSN).',
      ),
    normLastLayer: z.boolean().describe("Fixes weight-normed prototypes' magnitudes at 1."),
    vmf: z.boolean().describe('Von Mises-Fisher logits; needs normLastLayer: false.'),
    patches: z
      .enum(patchHeads)
      .describe(
        'What patches meet: the head of CLS, other prototypes (iBOT), or an own head (DINOv2).',
      ),
    patchPrototypes: prototypeCount
      .nullable()
      .describe('K of patches with prototypes of their own; null: as head.prototypes.'),
    learning: z
      .enum(prototypeLearnings)
      .describe(
        "What moves the prototypes: the student's loss, a mixture's EM, or the teacher's clustering.",
      ),
  }),
  mixture: z.strictObject({
    forgetting: z
      .number()
      .gt(0)
      .lt(1)
      .describe('Share of its statistics a component replaces by one row.'),
    varianceFloor: positive.describe('Smallest variance of a coordinate.'),
    annealingStart: z
      .number()
      .gt(0)
      .max(1)
      .describe('Exponent of the responsibilities at the start.'),
    annealing: share.describe('Share of the run over which that exponent rises to 1.'),
  }),
  loss: z.strictObject({
    studentTemperature: temperature.describe("What the student's logits are divided by."),
    teacherTemperature: temperature.describe('After its warm-up.'),
    teacherTemperatureStart: temperature.describe('At the start of its warm-up.'),
    patchTemperature: temperature.describe(
      'Of the teacher over masked patches, after its warm-up.',
    ),
    patchTemperatureStart: temperature.describe('At the start of its warm-up.'),
    teacherWarmup: share.describe('Share of the run over which both rise.'),
    cls: z.number().min(0).describe("Weight of the CLS tokens' cross-entropy."),
    patch: z.number().min(0).describe("Weight of the masked patches' cross-entropy."),
    targets: z
      .enum(targetKinds)
      .describe('How the teacher is kept from using one prototype for all: its targets.'),
    centerMomentum: share.describe("Momentum of the teacher's centre."),
    koleoProto: z.number().min(0).describe('Weight of KoLeo-proto; 0: the plain method.'),
    koleoProtoClip: z
      .number()
      .min(0)
      .describe("Limit of the norm of KoLeo-proto's own gradient; 0: none."),
    koleoProtoTieBreak: z
      .number()
      .min(0)
      .describe('Length of the fixed noise that parts exact copies; 0: none.'),
    koleo: z
      .number()
      .min(0)
      .describe('Weight of KoLeo on the CLS features of each global crop, as in DINOv2.'),
    meMax: z
      .number()
      .min(0)
      .describe("Weight of ME-MAX: K's entropy less that of the student's mean prediction (MSN)."),
  }),
  optim: z.strictObject({
    batch: z
      .int()
      .min(
        2,
        'one image has no other to be told from; give 2 or more, 32 and up to learn something',
      )
      .describe('Images a step.'),
    epochs: positive.nullable().describe('Passes over the data; or give steps.'),
    steps: count.nullable().describe('Steps; takes precedence over epochs.'),
    lr: positive.describe('Peak learning rate, not scaled by the batch.'),
    lrEnd: z.number().min(0).describe('Learning rate at the end, on a cosine.'),
    warmup: share.describe('Share of the run over which the learning rate rises.'),
    warmupStart: z.number().min(0).describe('Learning rate at the first step of the warm-up.'),
    weightDecay: z.number().min(0).describe('At the start.'),
    weightDecayEnd: z.number().min(0).describe('At the end, on a cosine.'),
    stretch: z
      .number()
      .min(1)
      .describe(
        'Length of the schedules in runs: above 1 they are cut off before their end (MSN).',
      ),
    decay: z
      .enum(decayRules)
      .describe(
        'What does not decay: biases and one-dimensional tensors (dino), or biases, norms and LayerScale (dinov2).',
      ),
    clip: z.number().min(0).describe('Limit of the gradient norm; 0: none.'),
    clipMode: z
      .enum(clipModes)
      .describe('What shares a norm: one parameter (DINO), a module (DINOv2), all (MSN).'),
    layerDecay: z
      .number()
      .gt(0)
      .max(1)
      .describe('Factor of the rate from a block to the one below it.'),
    patchEmbedLr: z.number().min(0).describe("Further factor of the patch embedding's rate."),
    prototypeLr: z
      .number()
      .min(0)
      .describe('Factor of the rate of prototypes that learn by gradient.'),
    clusteringLr: z
      .number()
      .min(0)
      .describe("Factor of the rate of prototypes that learn by the teacher's clustering."),
    beta2: share.describe('Decay of the second moment of AdamW.'),
    momentum: share.describe('EMA momentum at the start; rises to 1.'),
    momentumSchedule: z
      .enum(momentumSchedules)
      .describe('How it rises: on a cosine (DINO) or a line (MSN).'),
    freezeLastLayer: share.describe('Share of the run in which the prototypes stand still.'),
    freeze: z
      .enum(freezes)
      .describe(
        'How they stand still: no gradient (DINO), or a rate of 0 while moments go on (DINOv2).',
      ),
  }),
  run: z.strictObject({
    device: z
      .enum(['auto', 'cpu', 'cuda'])
      .describe('Where the run computes; auto: the GPU if there is one, else the CPU.'),
    precision: z
      .enum(['f32', 'bf16'])
      .describe(
        'Of products on a GPU: f32, or operands in bf16, inside blocks stored so, and sums in f32. The CPU has f32.',
      ),
    // Runs from before this setting go on without it.
    graphs: z
      .boolean()
      .default(false)
      .describe('Launches the work of a GPU as CUDA graphs; results are the same.'),
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
 * The part of a config that decides what a run computes: how often it logs, how many workers it has,
 * where crops are made and how it is judged may change between two starts.
 */
export function lasting(config: TrainConfig) {
  const { run, eval: _eval, data, ...rest } = config;
  const { workers: _workers, augment: _augment, cacheBytes: _cacheBytes, ...source } = data;
  return { ...rest, data: source };
}

/** What two starts of one run must have in common: neither how it is judged nor what it puts up with. */
export function deciding(config: TrainConfig) {
  const { data, ...rest } = lasting(config);
  const { test: _test, maxBadFraction: _maxBadFraction, ...source } = data;
  return { ...rest, data: source };
}

export type LastingConfig = ReturnType<typeof lasting>;
