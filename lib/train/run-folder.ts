import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ProteaError } from '../error.js';
import { removeCheckpoints } from './checkpoint.js';
import { deciding, type TrainConfig } from './config.js';
import { configText, readRunConfig } from './config-file.js';
import { sweepTemporary, writeAtomic, written } from './files.js';
import { takeLock } from './lock.js';

/** One line of metrics.jsonl: flat keys with slashes. */
export type Metrics = Record<string, number | string | null> & { _step: number };

export interface OpenRunOptions {
  /** Starts anew where another run is. @default false */
  overwrite?: boolean;
}

const isGroup = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Settings that differ, as "optim.lr (0.001 there, 0.01 here)". */
function differences(there: object, here: object, prefix = ''): string[] {
  const [a, b] = [new Map(Object.entries(there)), new Map(Object.entries(here))];
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((key) => {
    const [old, now] = [a.get(key), b.get(key)];
    if (isGroup(old) && isGroup(now)) return differences(old, now, `${prefix}${key}.`);
    const [was, is] = [JSON.stringify(old), JSON.stringify(now)];
    return was === is ? [] : [`${prefix}${key} (${was} there, ${is} here)`];
  });
}

const mostNamed = 5;

/** @throws ERR_PROTEA_CONFIG when the folder holds a run with other settings than these */
export async function checkSameRun(folder: string, config: TrainConfig): Promise<void> {
  const path = join(folder, 'config.yaml');
  if (!existsSync(path)) return;
  const other = differences(deciding(await readRunConfig(path)), deciding(config));
  if (!other.length) return;
  const more = other.length > mostNamed ? ` and ${other.length - mostNamed} more` : '';
  throw new ProteaError(
    'ERR_PROTEA_CONFIG',
    `${folder} holds a run with other settings: ${other.slice(0, mostNamed).join(', ')}${more}`,
    {
      hint: 'Give the settings of that run to go on with it, or another --out; train also takes --overwrite.',
    },
  );
}

/** The folder of a run: config.yaml, metrics.jsonl, checkpoints/, report/. Held by one process. */
export class RunFolder {
  private constructor(
    readonly path: string,
    private readonly release: () => Promise<void>,
  ) {}

  get checkpoints(): string {
    return join(this.path, 'checkpoints');
  }

  get metrics(): string {
    return join(this.path, 'metrics.jsonl');
  }

  get report(): string {
    return join(this.path, 'report', 'index.html');
  }

  /**
   * Makes or reopens a run.
   * @throws ERR_PROTEA_RUN_LOCKED when another process trains there; ERR_PROTEA_CONFIG when a run with
   * another config is there
   */
  static async open(
    path: string,
    config: TrainConfig,
    { overwrite = false }: OpenRunOptions = {},
  ): Promise<RunFolder> {
    const release = await written(path, async () => {
      await mkdir(path, { recursive: true });
      return takeLock(join(path, 'run.lock'));
    });
    const folder = new RunFolder(path, release);
    try {
      if (overwrite) await folder.clear();
      await folder.adopt(config);
      return folder;
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  /** Removes a run, and nothing that is not of a run. */
  private async clear(): Promise<void> {
    for (const path of [this.metrics, this.report, join(this.path, 'config.yaml')])
      await rm(path, { force: true });
    if (existsSync(this.checkpoints)) await removeCheckpoints(this.checkpoints);
  }

  private async adopt(config: TrainConfig): Promise<void> {
    const path = join(this.path, 'config.yaml');
    await sweepTemporary(this.path);
    await checkSameRun(this.path, config);
    await mkdir(this.checkpoints, { recursive: true });
    await sweepTemporary(this.checkpoints);
    await mkdir(join(this.path, 'report'), { recursive: true });
    await writeAtomic(path, configText(config));
  }

  /** Forgets the metrics after `step`: the run goes on from there. */
  async rewindMetrics(step: number): Promise<void> {
    const kept = (await this.readMetrics()).filter((line) => line._step <= step);
    await writeAtomic(this.metrics, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  async appendMetrics(line: Metrics): Promise<void> {
    await written(this.metrics, () => appendFile(this.metrics, `${JSON.stringify(line)}\n`));
  }

  /** All lines that are whole. */
  async readMetrics(): Promise<Metrics[]> {
    if (!existsSync(this.metrics)) return [];
    const text = await readFile(this.metrics, 'utf8');
    return text.split('\n').flatMap((line) => {
      try {
        return line ? [JSON.parse(line) as Metrics] : [];
      } catch {
        return [];
      }
    });
  }

  async close(): Promise<void> {
    await this.release();
  }
}
