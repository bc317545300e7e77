// Runs the layer-like cases: inputs by name, outputs by name, gradients of sum(out.* in.grad_*) or of the loss.
import {
  backward,
  dot,
  scope,
  type Tensor,
  tensor,
  watch,
  weightedSum,
  zeros,
} from '../../lib/tensor/index.js';
import type { GoldenCase, GoldenResult } from './case.js';

/** Gives the input of that full name as a tensor; it is watched when the case expects its gradient. */
export type Inputs = (name: string) => Tensor;

export class Graph {
  private readonly made = new Map<string, Tensor>();

  constructor(private readonly c: GoldenCase) {}

  /**
   * `body` returns the outputs by full name. The objective is the output named `objective` if given,
   * otherwise sum(out.NAME * in.grad_NAME) over the outputs that have an upstream gradient.
   */
  async run(
    body: (input: Inputs) => Record<string, Tensor>,
    objective?: string,
  ): Promise<GoldenResult> {
    const results = scope(() => {
      const outputs = body((name) => this.input(name));
      return { ...outputs, ...this.gradients(outputs, objective) };
    });
    const tensors: Record<string, ArrayLike<number>> = {};
    for (const [name, value] of Object.entries(results)) {
      tensors[name] = await value.read();
      value.dispose();
    }
    return { tensors };
  }

  private expectsGradient(name: string): boolean {
    return `grad.${name}` in this.c.entry.tensors;
  }

  private input(name: string): Tensor {
    const known = this.made.get(name);
    if (known) return known;
    const { values, shape } = this.c.input(name);
    const made = tensor(values, shape);
    if (this.expectsGradient(name)) watch(made);
    this.made.set(name, made);
    return made;
  }

  private gradients(outputs: Record<string, Tensor>, objective?: string): Record<string, Tensor> {
    const wanted = [...this.made].filter(([name]) => this.expectsGradient(name));
    if (!wanted.length) return {};
    const found = backward(
      objective ? outputs[objective]! : this.upstream(outputs),
      wanted.map(([, x]) => x),
    );
    return Object.fromEntries(
      wanted.map(([name, x], i) => [`grad.${name}`, found[i] ?? zeros(x.shape)]),
    );
  }

  private upstream(outputs: Record<string, Tensor>): Tensor {
    const terms = Object.entries(outputs)
      .map(([name, y]) => ({ y, upstream: name.replace(/^out\./, 'in.grad_') }))
      .filter(({ upstream }) => this.c.has(upstream))
      .map(({ y, upstream }) => dot(y, tensor(this.c.input(upstream).values, y.shape)));
    return weightedSum(
      terms,
      terms.map(() => 1),
    );
  }
}
