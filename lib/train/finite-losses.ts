import { ProteaError } from '../error.js';
import type { StepResult } from './training-step.js';

/** Steps in a row with a loss that is not finite before a run stops. */
const most = 2;

/** The parts of a loss, those that are not finite first: "koleo NaN, dino 5.1". */
function textOf({ losses }: StepResult): string {
  return Object.entries(losses)
    .sort(([, a], [, b]) => Number(Number.isFinite(a)) - Number(Number.isFinite(b)))
    .map(([name, value]) => `${name} ${Number.isFinite(value) ? value.toFixed(4) : value}`)
    .join(', ');
}

/** Bears with single losses that are not finite, and stops a run that has nothing else. */
export class FiniteLosses {
  constructor(
    /** Of the last steps, in a row. */
    public missed: number,
  ) {}

  /** @throws ERR_PROTEA_NUMERIC when too many in a row were not finite */
  check(step: number, result: StepResult): void {
    this.missed = Number.isFinite(result.loss) ? 0 : this.missed + 1;
    if (this.missed <= most) return;
    throw new ProteaError(
      'ERR_PROTEA_NUMERIC',
      `The loss is not finite at step ${step + 1} (${textOf(result)}), ${this.missed} steps in a row; they changed no parameter`,
      {
        hint: 'The steps before may have gone astray: begin another run (--out) with a lower optim.lr, optim.clip above 0 or a higher loss.teacherTemperature.',
      },
    );
  }
}
