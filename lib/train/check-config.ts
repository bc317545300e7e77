// Settings that are fine each by itself and do not go together. Found before any data is opened.
import { ProteaError } from '../error.js';
import { vitSizes } from '../nn/index.js';
import { checkPrototypeHead, recipes } from '../ssl/index.js';
import type { TrainConfig } from './config.js';
import { gridOf } from './draws.js';

/** Says what is wrong and what to change; undefined: nothing. */
type Check = (config: TrainConfig) => [problem: string, hint: string] | undefined;

const crops: Check[] = [
  ({ method, crops: { global } }) => {
    const { globalCrops } = recipes[method];
    if (global === globalCrops) return undefined;
    return [
      `${method} needs ${globalCrops} global crops, not ${global}`,
      `Set crops.global to ${globalCrops}.`,
    ];
  },
  ({ method, crops: { local } }) =>
    recipes[method].localCrops === 'needed' && local === 0
      ? [`${method} learns from local crops and there are none`, 'Set crops.local to 1 or more.']
      : undefined,
  ({ method, crops: { local } }) =>
    recipes[method].localCrops === 'unused' && local > 0
      ? [`${method} makes no use of local crops`, 'Set crops.local to 0.']
      : undefined,
  ({ crops: { local, localSize, globalSize } }) =>
    local > 0 && localSize === globalSize
      ? [
          'Local crops of the size of the global ones are not told apart',
          'Make crops.localSize smaller than crops.globalSize.',
        ]
      : undefined,
  ({ crops: { local, localSize, globalSize }, model: { patchSize } }) => {
    const [name, size] =
      local > 0 && localSize < globalSize ? ['localSize', localSize] : ['globalSize', globalSize];
    if (size >= patchSize) return undefined;
    return [
      `A crop of ${size} pixels has no whole patch of ${patchSize}`,
      `Raise crops.${name} or lower model.patchSize.`,
    ];
  },
];

/** Least number of patches on a side for which block masks have room: half of them in blocks of 4. */
const leastSide = 4;

const masks: Check[] = [
  ({ method, mask: { kind } }) =>
    !recipes[method].masks && kind !== 'none'
      ? [`${method} has no masked patches`, 'Set mask.kind to none, or method to ibot or dinov2.']
      : undefined,
  ({ method, mask: { kind } }) =>
    recipes[method].masks && kind === 'none'
      ? [`${method} needs masked patches`, 'Set mask.kind to block or random.']
      : undefined,
  ({ method, mask: { kind, probability, ratio } }) =>
    recipes[method].masks && kind !== 'none' && (probability === 0 || ratio[1] === 0)
      ? ['No patch is ever masked', 'Raise mask.probability and the second number of mask.ratio.']
      : undefined,
  ({ method, mask: { probability, ratio } }) =>
    method === 'capi' && (probability < 1 || ratio[0] === 0)
      ? [
          'capi learns from masked patches alone, so every image must have some',
          'Set mask.probability to 1 and the first number of mask.ratio above 0.',
        ]
      : undefined,
  ({ method, model: { predictorDepth } }) =>
    method !== 'capi' && predictorDepth > 0
      ? [`${method} has no predictor`, 'Set model.predictorDepth to 0.']
      : undefined,
  ({ mask: { ratio }, model: { predictorDepth } }) =>
    predictorDepth > 0 && ratio[0] !== ratio[1]
      ? [
          'With a predictor every image must show as many patches',
          'Give mask.ratio twice the same number, or set model.predictorDepth to 0.',
        ]
      : undefined,
  ({ mask: { ratio } }) =>
    ratio[0] > ratio[1]
      ? [`mask.ratio runs from ${ratio[0]} to ${ratio[1]}`, 'Give the smaller number first.']
      : undefined,
  (config) => {
    const { rows: side } = gridOf(config);
    if (config.mask.kind === 'none' || side >= leastSide) return undefined;
    return [
      `Masks need a grid of ${leastSide} x ${leastSide} patches, and a global crop has ${side} x ${side}`,
      'Lower model.patchSize or raise crops.globalSize.',
    ];
  },
  ({ method, mask: { dropped } }) =>
    !recipes[method].dropsPatches && dropped > 0
      ? [`${method} drops no patches`, 'Set mask.dropped to 0, or method to msn.']
      : undefined,
  (config) => {
    const { rows: side } = gridOf(config);
    const left = Math.floor(side * side * (1 - config.mask.dropped));
    return left < 1 ? ['Every patch is dropped', 'Lower mask.dropped.'] : undefined;
  },
];

const prototypes: Check[] = [
  ({ head, model }) => {
    checkPrototypeHead({ ...head, inDim: vitSizes[model.size].dim, bias: true });
    return undefined;
  },
  ({ method, head }) =>
    method.endsWith('-vmf') && !head.vmf
      ? [
          `${method} without von Mises-Fisher logits is ${method.replace('-vmf', '')}`,
          'Set head.vmf to true and head.normLastLayer to false.',
        ]
      : undefined,
  ({ method, head }) =>
    head.learning === 'clustering' && head.layer === 'shared'
      ? [
          `Prototypes that both networks share cannot be the teacher's own (${method})`,
          'Set head.layer to weight-norm or linear, or head.learning to gradient.',
        ]
      : undefined,
  ({ method, head }) =>
    method === 'capi' && head.learning === 'gradient'
      ? [
          "capi's targets are clusters that the teacher learns by itself",
          'Set head.learning to clustering or mixture.',
        ]
      : undefined,
  ({ head, loss }) =>
    head.learning === 'mixture' && loss.koleoProto > 0
      ? [
          "No gradient reaches a mixture's means, so KoLeo-proto cannot move them",
          'Set loss.koleoProto to 0, or head.learning to gradient.',
        ]
      : undefined,
  ({ head }) =>
    head.learning === 'mixture' && head.layer === 'linear'
      ? [
          "A mixture's means have lengths that say nothing, and head.layer linear keeps them",
          'Set head.layer to weight-norm.',
        ]
      : undefined,
];

const balanced = (targets: string) => targets.startsWith('sinkhorn');

const losses: Check[] = [
  ({ method, loss: { targets } }) =>
    method === 'capi' && !balanced(targets)
      ? [
          'capi balances patches place by place, which only Sinkhorn does',
          'Set loss.targets to sinkhorn.',
        ]
      : undefined,
  ({ method, loss: { meMax } }) =>
    method === 'capi' && meMax > 0
      ? ['ME-MAX is taken of views, and capi has one', 'Set loss.meMax to 0.']
      : undefined,
  ({ loss: { cls, patch, koleo }, method }) => {
    const own =
      recipes[method].main.tokens === 'patch' ? patch : cls + (recipes[method].masks ? patch : 0);
    return own + koleo === 0
      ? ['All losses have weight 0', 'Set loss.cls or loss.patch above 0.']
      : undefined;
  },
];

/**
 * Refuses settings that do not go together.
 * @throws ERR_PROTEA_CONFIG naming them and what to change
 */
export function checkConfig(config: TrainConfig): void {
  for (const check of [...crops, ...masks, ...prototypes, ...losses]) {
    const found = check(config);
    if (!found) continue;
    const [problem, hint] = found;
    throw new ProteaError('ERR_PROTEA_CONFIG', problem, { hint });
  }
}
