import { dinoPairs } from '../losses/dino.js';
import { patchLoss } from '../losses/patches.js';
import { seeViews, viewLoss } from '../losses/views.js';
import type { Recipe } from '../recipe.js';

/** iBOT: DINO's loss, taken of masked global crops, and the masked patches against the teacher's. */
export const ibot: Recipe = {
  source: 'Zhou et al. 2022, "iBOT: Image BERT pre-training with online tokenizer"',
  globalCrops: 2,
  localCrops: 'possible',
  masks: true,
  dropsPatches: false,
  main: { loss: 'dino', tokens: 'cls' },
  losses: (step) => {
    const { globalViews, localViews, images } = step.batch;
    const { cls = 1, patch = 1 } = step.method.config.weights ?? {};
    const views = seeViews(step);
    const pairs = dinoPairs(globalViews + localViews, globalViews, images);
    const patches = patchLoss(step, views, { stateOf: 'all' });
    return {
      dino: { loss: viewLoss(step, views, pairs), weight: cls },
      ibot: patches && { loss: patches, weight: patch },
    };
  },
};
