import { dinov2Pairs } from '../losses/dino.js';
import { patchLoss } from '../losses/patches.js';
import { seeViews, viewLoss } from '../losses/views.js';
import type { Recipe } from '../recipe.js';

/**
 * DINOv2: DINO's and iBOT's losses with its own weights of pairs, state of the masked tokens only, and
 * KoLeo on the features (loss.koleo).
 */
export const dinov2: Recipe = {
  source: 'Oquab et al. 2024, "DINOv2: learning robust visual features without supervision"',
  globalCrops: 2,
  localCrops: 'possible',
  masks: true,
  dropsPatches: false,
  main: { loss: 'dino', tokens: 'cls' },
  losses: (step) => {
    const { localViews, images } = step.batch;
    const { cls = 1, patch = 1 } = step.method.config.weights ?? {};
    const views = seeViews(step);
    const patches = patchLoss(step, views, { stateOf: 'masked' });
    return {
      dino: { loss: viewLoss(step, views, dinov2Pairs(localViews, images)), weight: cls },
      ibot: patches && { loss: patches, weight: patch },
    };
  },
};
