import { positionwisePatchLoss } from '../losses/patches.js';
import type { Recipe } from '../recipe.js';

/**
 * CAPI's partial decoupling: masked patches against clusters that the teacher learns by itself. One
 * view: the student encodes what is left of it, and a predictor says what stood in the rest.
 */
export const capi: Recipe = {
  source:
    'Darcet et al. 2025, "Cluster and predict latent patches for improved masked image modeling"',
  globalCrops: 1,
  localCrops: 'unused',
  masks: true,
  dropsPatches: false,
  main: { loss: 'capi', tokens: 'patch' },
  losses: (step) => {
    const { global, mask } = step.batch;
    const teacher = step.teacherSees(global);
    const student = step.studentPredicts(global, mask!);
    step.globalFeatures = { features: student.features, views: 1 };
    const loss = positionwisePatchLoss(step, teacher, student);
    return { capi: loss && { loss, weight: step.method.config.weights?.patch ?? 1 } };
  },
};
