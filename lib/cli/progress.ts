import { SingleBar } from 'cli-progress';
import type { DiagnosisEvent, StartEvent, StepEvent, TrainEvent } from '../train/index.js';
import type { Output } from './output.js';

const rate = (value: number) => value.toFixed(value < 10 ? 1 : 0);

function stepText(event: StepEvent): string {
  const losses = Object.entries(event.losses).map(([name, v]) => `${name} ${v.toFixed(3)}`);
  return `loss ${event.loss.toFixed(4)} (${losses.join(', ')})  lr ${event.lr.toExponential(1)}  ${rate(event.imagesPerSecond)} img/s  data ${(100 * event.dataWait).toFixed(0)} %`;
}

function diagnosisText({ step, prototypes, studentUnique, mlcd }: DiagnosisEvent): string {
  const entropy = mlcd
    ? `  MLCD entropy ${mlcd.all.entropy.toFixed(2)} over all, ${mlcd.unique.entropy.toFixed(2)} over unique`
    : '';
  return `step ${step}: unique prototypes ${prototypes.unique} of ${prototypes.total} (teacher), ${studentUnique} (student)${entropy}`;
}

/** Shows a run on stderr: a bar on a terminal, lines elsewhere. */
export class Progress {
  private bar: SingleBar | undefined;

  constructor(private readonly out: Output) {}

  show(event: TrainEvent): void {
    if (this.out.json) return;
    if (event.event === 'start') this.start(event);
    else if (event.event === 'step') this.step(event);
    else if (event.event === 'diagnosis') {
      this.line(diagnosisText(event));
      if (event.uniformCollapse) this.line(`warning: ${event.uniformCollapse}`);
    } else if (event.event === 'warning') this.line(`warning: ${event.message}`);
    else if (event.event === 'end') this.stop();
  }

  private start(event: StartEvent): void {
    const millions = (event.parameters / 1e6).toFixed(2);
    const from = event.step ? `, going on from step ${event.step}` : '';
    this.line(
      `${event.images} images, ${millions} M parameters, ${event.steps} steps${from}, in ${event.out}`,
    );
    this.line(`computing on ${event.device.device}: ${event.device.reason}`);
    if (!process.stderr.isTTY || event.step >= event.steps) return;
    this.bar = new SingleBar({
      format: '{bar} {value}/{total}  {text}  eta {eta_formatted}',
      stream: process.stderr,
      hideCursor: true,
      barsize: 24,
    });
    this.bar.start(event.steps, event.step, { text: '' });
  }

  private step(event: StepEvent): void {
    if (this.bar) this.bar.update(event.step, { text: stepText(event) });
    else this.line(`step ${event.step}/${event.steps}  ${stepText(event)}`);
  }

  /** A line above the bar. */
  private line(text: string): void {
    if (this.bar) process.stderr.write('\r\x1b[K');
    this.out.say(text);
  }

  stop(): void {
    this.bar?.stop();
    this.bar = undefined;
  }
}

const progressEveryMs = 2000;

/** Says every two seconds how far long work has come. */
export function progressLines(out: Output): (part: string, share: number) => void {
  let last = performance.now();
  return (part, share) => {
    if (performance.now() - last < progressEveryMs) return;
    last = performance.now();
    out.say(`${part} ${(100 * share).toFixed(0)} %`);
  };
}
