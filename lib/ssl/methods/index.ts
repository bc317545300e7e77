import type { Recipe } from '../recipe.js';
import { capi } from './capi.js';
import { dino } from './dino.js';
import { dinoVmf } from './dino-vmf.js';
import { dinov2 } from './dinov2.js';
import { ibot } from './ibot.js';
import { ibotVmf } from './ibot-vmf.js';
import { msn } from './msn.js';

export const methodNames = [
  'dino',
  'dino-vmf',
  'ibot',
  'ibot-vmf',
  'msn',
  'dinov2',
  'capi',
] as const;
export type MethodName = (typeof methodNames)[number];

/** Every method, by name. */
export const recipes: Readonly<Record<MethodName, Recipe>> = {
  dino,
  'dino-vmf': dinoVmf,
  ibot,
  'ibot-vmf': ibotVmf,
  msn,
  dinov2,
  capi,
};
