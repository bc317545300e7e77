// Op name of index.json -> the code that computes its outputs and gradients. One file per group.
import type { Handler } from '../case.js';
import { linear } from './linear.js';

export const handlers: Record<string, Handler> = {
  linear,
};
