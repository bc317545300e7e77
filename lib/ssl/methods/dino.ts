import { dinoPairs } from '../losses/dino.js';
import { seeViews, viewLoss } from '../losses/views.js';
import type { Recipe } from '../recipe.js';

/** DINO: the teacher sees the global crops, the student all of them, and CLS tokens are compared. */
export const dino: Recipe = {
  source: 'Caron et al. 2021, "Emerging properties in self-supervised vision transformers"',
  globalCrops: 2,
  localCrops: 'possible',
  masks: false,
  dropsPatches: false,
  main: { loss: 'dino', tokens: 'cls' },
  losses: (step) => {
    const { globalViews, localViews, images } = step.batch;
    const pairs = dinoPairs(globalViews + localViews, globalViews, images);
    const { cls = 1 } = step.method.config.weights ?? {};
    return { dino: { loss: viewLoss(step, seeViews(step), pairs), weight: cls } };
  },
};
