import type { Recipe } from '../recipe.js';
import { dino } from './dino.js';

/**
 * DINO-vMF: DINO's loss over von Mises-Fisher logits. The head (head.vmf, free magnitudes) and the
 * targets (centering in probability space) make the difference, and the settings are checked for them.
 */
export const dinoVmf: Recipe = {
  ...dino,
  source: 'Govindarajan et al. 2023, "DINO as a von Mises-Fisher mixture model"',
};
