import {
  gmmResponsibilities,
  gmmUpdate,
  type MixtureState,
  scope,
  type Tensor,
  tensor,
  weightedSum,
} from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';
import { Collected, rowsOfStep } from '../logits.js';

const copy = (x: Tensor) => weightedSum([x], [1]);

function step(c: GoldenCase, t: number, state: MixtureState) {
  const { betas, eta, var_floor, forgetting } = c.params;
  return scope(() => {
    const x = rowsOfStep(c, 'in.x', t);
    const { gamma, logLikelihood } = gmmResponsibilities(x, state, betas[t]);
    const byResponsibility = forgetting === 'responsibility';
    gmmUpdate(state, x, gamma, { eta, varianceFloor: var_floor, byResponsibility });
    return {
      'out.gamma': gamma,
      'out.loglik': logLikelihood,
      'out.pi': copy(state.pi),
      'out.mu': copy(state.mu),
      'out.var': copy(state.variance),
      'out.s0': copy(state.s0),
      'out.s1': copy(state.s1),
      'out.s2': copy(state.s2),
    };
  });
}

export const gmm: Handler = async (c) => {
  const input = (name: string) => tensor(c.input(name).values, c.input(name).shape);
  const state = {
    pi: input('in.pi'),
    mu: input('in.mu'),
    variance: input('in.var'),
    s0: input('in.s0'),
    s1: input('in.s1'),
    s2: input('in.s2'),
  };
  const result = new Collected();
  for (let t = 0; t < c.params.steps; t++) await result.add(step(c, t, state));
  return { tensors: result.tensors };
};
