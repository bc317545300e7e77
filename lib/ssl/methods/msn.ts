import { anchorViewLoss } from '../losses/anchors.js';
import type { Recipe } from '../recipe.js';

/**
 * MSN: anchors with dropped patches and focal crops against the sharpened target of the whole view,
 * with ME-MAX (loss.meMax) on their mean prediction.
 */
export const msn: Recipe = {
  source: 'Assran et al. 2022, "Masked siamese networks for label-efficient learning"',
  globalCrops: 2,
  localCrops: 'needed',
  masks: false,
  dropsPatches: true,
  main: { loss: 'msn', tokens: 'cls' },
  losses: (step) => ({
    msn: { loss: anchorViewLoss(step), weight: step.method.config.weights?.cls ?? 1 },
  }),
};
