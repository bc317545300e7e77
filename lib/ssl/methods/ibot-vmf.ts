import type { Recipe } from '../recipe.js';
import { ibot } from './ibot.js';

/** iBOT-vMF: iBOT's losses over von Mises-Fisher logits, for CLS and patches alike. */
export const ibotVmf: Recipe = {
  ...ibot,
  source: 'Govindarajan et al. 2023, "DINO as a von Mises-Fisher mixture model"',
};
