import { join } from 'node:path';
import type { Command } from 'commander';
import { ProteaError } from '../error.js';
import { type EndEvent, loadConfig, presetOf, type TrainEvent, Trainer } from '../train/index.js';
import { exitCode, type Output, run } from './output.js';
import { Progress } from './progress.js';

/** Flags that stand for settings. */
export interface TrainFlags {
  preset?: string;
  config?: string;
  data?: string;
  labels?: string;
  test?: string;
  out?: string;
  epochs?: string;
  steps?: string;
  seed?: string;
  logEvery?: string;
  device?: string;
  overwrite?: boolean;
  json?: boolean;
}

/** Flags are the last overrides. */
export function overridesOf(flags: TrainFlags, given: readonly string[]): string[] {
  const named: [string, string | undefined][] = [
    ['data.source', flags.data],
    ['data.labels', flags.labels],
    ['data.test', flags.test],
    ['optim.steps', flags.steps ?? (flags.epochs ? 'null' : undefined)],
    ['optim.epochs', flags.epochs],
    ['seed', flags.seed],
    ['run.logEvery', flags.logEvery],
    ['run.device', flags.device],
  ];
  // Paths and names are text even where they look like numbers.
  const isText = (key: string) => /^(data|run\.device)/.test(key);
  const text = (key: string, value: string) =>
    value === 'null' || (!isText(key) && /^-?[\d.]+$/.test(value)) ? value : JSON.stringify(value);
  const fromFlags = named.flatMap(([key, value]) => (value ? [`${key}=${text(key, value)}`] : []));
  return [...given, ...fromFlags];
}

/** First Ctrl-C or SIGTERM: finish the step, save, stop. Second: stop now. */
export function stopOnSignals(): { signal: AbortSignal; code: () => number } {
  const controller = new AbortController();
  let code: number = exitCode.ok;
  const stop = (exit: number) => () => {
    if (controller.signal.aborted) process.exit(exit);
    code = exit;
    controller.abort();
  };
  process.on('SIGINT', stop(exitCode.interrupted));
  process.on('SIGTERM', stop(exitCode.terminated));
  return { signal: controller.signal, code: () => code };
}

function closing(end: EndEvent): string {
  const { total, unique } = end.prototypes;
  const parts = [
    `${unique} of ${total} prototypes unique`,
    ...(end.mlcd ? [`MLCD perplexity ${end.mlcd.all.perplexity.toFixed(0)}`] : []),
    ...(end.knn ? [`kNN top-1 ${end.knn.top1.toFixed(1)} %`] : []),
    `${end.imagesPerSecond.toFixed(0)} images/s`,
  ];
  return `${end.complete ? 'done' : 'stopped'} after ${end.steps} steps: ${parts.join(', ')}`;
}

async function train(flags: TrainFlags, given: readonly string[], out: Output): Promise<number> {
  const config = await loadConfig({
    preset: flags.preset,
    file: flags.config,
    overrides: overridesOf(flags, given),
  });
  const preset = await presetOf({ preset: flags.preset, file: flags.config });
  const folder = flags.out ?? join('runs', preset);
  const { signal, code } = stopOnSignals();
  const trainer = await Trainer.open(config, folder, { overwrite: flags.overwrite ?? false });
  const progress = new Progress(out);
  try {
    let last: TrainEvent | undefined;
    for await (const event of trainer.run({ signal })) {
      progress.show(event);
      out.emit(event);
      last = event;
    }
    if (last?.event !== 'end') throw new ProteaError('ERR_PROTEA_ABORTED', 'The run did not end');
    const checkpoint = last.checkpoint || 'none yet';
    out.result(`${closing(last)}\n  checkpoint ${checkpoint}\n  report     ${last.report}`);
    return last.complete ? exitCode.ok : code();
  } finally {
    progress.stop();
    await trainer.close();
  }
}

export function addTrain(program: Command): void {
  program
    .command('train')
    .description('pretrain on images, or go on with a run: the same command again')
    .argument('[overrides...]', 'settings as key.sub=value, for example loss.koleoProto=0')
    .option('--preset <name>', 'starting point (default: dino-kp-tiny)')
    .option('--config <file>', 'YAML on top of the preset')
    .option('--data <spec>', 'training images: folder, tar, IDX, CIFAR binary, flora')
    .option('--labels <csv>', 'subset and labels, "path_or_index,label"')
    .option('--test <spec>', 'labelled images for kNN')
    .option('--out <dir>', 'folder of the run (default: runs/<preset>)')
    .option('--epochs <n>', 'passes over the data')
    .option('--steps <n>', 'steps')
    .option('--seed <s>', 'seed of every random choice')
    .option('--log-every <n>', 'steps between step events')
    .option('--device <name>', 'auto, cpu or cuda (default: auto)')
    .option('--overwrite', 'start anew where another run is')
    .option('--json', 'JSON lines on stdout')
    .addHelpText(
      'after',
      `
Examples:
  protea train                                     pretrain on flora, the embedded data set
  protea train --data ./photos --preset dino-kp-vits16 --out runs/photos
  protea train --config examples/cifar10.yaml --data cifar10_jpeg.tar.gz#train
  protea train loss.koleoProto=0                   the same without KoLeo-proto

Settings: docs/config.md. Data: docs/data.md.`,
    )
    .action((given: string[], flags: TrainFlags) =>
      run(flags.json ?? false, (out) => train(flags, given, out)),
    );
}
