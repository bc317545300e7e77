import * as ops from '../../../lib/tensor/index.js';
import type { Handler } from '../case.js';
import { Graph } from '../graph.js';

export const linear: Handler = (c) =>
  new Graph(c).run((x) => ({
    'out.y': ops.linear(x('in.x'), x('in.weight'), c.has('in.bias') ? x('in.bias') : undefined),
  }));
