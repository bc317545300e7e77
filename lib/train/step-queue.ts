import type { StepResult } from './training-step.js';

/** Steps that were queued and whose results are not yet read, in order. */
export class StepQueue {
  private readonly underWay: Promise<StepResult>[] = [];

  get length(): number {
    return this.underWay.length;
  }

  add(result: Promise<StepResult>): void {
    result.catch(() => undefined); // thrown when it is read
    this.underWay.push(result);
  }

  /** The result of the oldest. */
  next(): Promise<StepResult> {
    return this.underWay.shift()!;
  }

  /** Waits for what is left and forgets it. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.underWay.splice(0));
  }
}
