import {
  backward,
  dot,
  linear,
  scope,
  softCrossEntropy,
  type Tensor,
  tensor,
  watch,
} from '../tensor/index.js';

export interface ProbeOptions {
  lr: number;
  /** @default 0.9 */
  momentum?: number;
  /** @default 0 */
  weightDecay?: number;
}

/**
 * A linear probe under SGD with momentum, as DINO's eval_linear: g = dL/dp + wd p; v <- momentum v + g
 * (v = g at first); p <- p - lr v.
 */
export class LinearProbe {
  private velocity: Float32Array[] | undefined;

  constructor(
    /** (classes, dim) */
    readonly weight: Float32Array,
    /** (classes) */
    readonly bias: Float32Array,
  ) {}

  /** One step on features (n, dim) with labels; the mean cross-entropy before it. */
  async step(x: Tensor, labels: ArrayLike<number>, options: ProbeOptions): Promise<number> {
    const classes = this.bias.length;
    const targets = new Float32Array(labels.length * classes);
    for (let i = 0; i < labels.length; i++) targets[i * classes + labels[i]!] = 1;
    const { loss, gradients } = scope(() => {
      const w = watch(tensor(this.weight, [classes, this.weight.length / classes]));
      const b = watch(tensor(this.bias, [classes]));
      const target = tensor(targets, [labels.length, classes]);
      const losses = softCrossEntropy(linear(x, w, b), target, 1);
      const loss = dot(losses, tensor(Array(labels.length).fill(1 / labels.length), losses.shape));
      return { loss, gradients: backward(loss, [w, b]) as Tensor[] };
    });
    const [value, dw, db] = [
      await loss.item(),
      await gradients[0]!.read(),
      await gradients[1]!.read(),
    ];
    for (const part of [loss, ...gradients]) part.dispose();
    this.update([dw as Float32Array, db as Float32Array], options);
    return value;
  }

  private update(gradients: Float32Array[], { lr, momentum = 0.9, weightDecay = 0 }: ProbeOptions) {
    const parameters = [this.weight, this.bias];
    const first = !this.velocity;
    this.velocity ??= parameters.map((p) => new Float32Array(p.length));
    parameters.forEach((p, j) => {
      const v = this.velocity![j]!;
      for (let i = 0; i < p.length; i++) {
        const g = gradients[j]![i]! + weightDecay * p[i]!;
        v[i] = first ? g : momentum * v[i]! + g;
        p[i]! -= lr * v[i]!;
      }
    });
  }
}
