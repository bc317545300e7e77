// What is drawn at random in a step besides crops: masks, dropped patches, drop path.
import { type Batch, viewTensors } from '../data/index.js';
import { type KeepBranches, purposes, uniforms } from '../nn/index.js';
import { type CropBatch, drawMasks, type Grid, recipes, visiblePatches } from '../ssl/index.js';
import { tensor } from '../tensor/index.js';
import type { TrainConfig } from './config.js';

/** Patches of a global crop. */
export function gridOf({ crops, model }: Pick<TrainConfig, 'crops' | 'model'>): Grid {
  const side = Math.floor(crops.globalSize / model.patchSize);
  return { rows: side, columns: side };
}

/** Crops as the method wants them, with their masks. */
export function cropBatch(config: TrainConfig, batch: Batch): CropBatch {
  const { groups, rows } = batch;
  const [global, local] = viewTensors(batch, config.data);
  return {
    images: rows.length,
    global: global!,
    globalViews: groups[0]!.views,
    local,
    localViews: groups[1]?.views ?? 0,
    ...hiddenPatches(config, batch),
  };
}

/** Masks of the global crops or dropped patches of the anchors, where the method has them. */
function hiddenPatches(
  config: TrainConfig,
  { step, epoch, rows, groups }: Batch,
): Pick<CropBatch, 'mask' | 'visible'> {
  const { mask, seed, method } = config;
  const { kind, dropped } = mask;
  const grid = gridOf(config);
  const drops = recipes[method].dropsPatches && dropped > 0;
  if (kind === 'none')
    return drops ? { visible: visiblePatches(grid, dropped, { seed, step }) } : {};
  const key = { seed, epoch, step, samples: rows, views: groups[0]!.views };
  return { mask: drawMasks({ ...mask, kind }, grid, key) };
}

/** Draws of drop path: a stream for each (step, crop size, branch). */
export function keepBranches(seed: number, step: number): (group: number) => KeepBranches {
  return (group) => (branch, images, drop) => {
    const u = uniforms(seed, step, group * 1024 + branch, purposes.dropPath, images);
    return tensor(
      Float32Array.from(u, (value) => Number(value >= drop)),
      [images],
    );
  };
}
