import { setTimeout } from 'node:timers/promises';
import { native } from '../native.js';
import { type Case, cases } from './cases.js';
import { type TorchPeer, torchMemory } from './peer.js';

interface Timing {
  ms: number;
  /** Growth of the peak memory during the call. */
  bytes: number;
}

export interface BenchLine {
  op: string;
  shape: Record<string, number>;
  device: 'cpu';
  impl: 'protea' | 'torch';
  ms_median: number;
  ms_min: number;
  /** Growth of the peak memory during a call, results and working memory included. */
  bytes_peak: number;
  /** Torch over protea by the medians; on protea's line, with a peer. */
  ratio?: number;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function ours(call: ReturnType<Case['prepare']>): Promise<Timing> {
  const before = native((addon) => addon.memory()).bytes;
  native((addon) => addon.resetPeak());
  const begin = performance.now();
  const value = call();
  await value.read();
  const ms = performance.now() - begin;
  value.dispose();
  const { peakBytes, scratchBytes } = native((addon) => addon.memory());
  return { ms, bytes: peakBytes - before + scratchBytes };
}

const line = (of: Case, impl: BenchLine['impl'], timings: readonly Timing[]): BenchLine => ({
  op: of.op,
  shape: of.shape,
  device: 'cpu',
  impl,
  ms_median: median(timings.map(({ ms }) => ms)),
  ms_min: Math.min(...timings.map(({ ms }) => ms)),
  bytes_peak: median(timings.map(({ bytes }) => bytes)),
});

const warmUp = 2;
/** Milliseconds before a side's turn: the threads of the other one spin for a while before they sleep. */
const pause = 40;

/** The second of two calls: the first one wakes the threads and the clock. */
async function turn<Result>(call: () => Promise<Result>): Promise<Result> {
  await setTimeout(pause);
  await call();
  return call();
}

/** Times one case in turn with the peer, after some turns of each that do not count. */
async function time(of: Case, rounds: number, peer: TorchPeer | undefined): Promise<BenchLine[]> {
  const known = peer && !of.op.includes(' ') ? peer : undefined;
  const call = of.prepare();
  const bytes = known ? await torchMemory(of.op, of.shape) : 0;
  await known?.prepare(of.op, of.shape);
  const [mine, theirs]: [Timing[], Timing[]] = [[], []];
  for (let round = 0; round < rounds + warmUp; round++) {
    const own = await turn(() => ours(call));
    const other = known && (await turn(() => known.run()));
    if (round < warmUp) continue;
    mine.push(own);
    if (other !== undefined) theirs.push({ ms: other, bytes });
  }
  const own = line(of, 'protea', mine);
  if (!theirs.length) return [own];
  const other = line(of, 'torch', theirs);
  return [{ ...own, ratio: other.ms_median / own.ms_median }, other];
}

export interface BenchOptions {
  /** Only cases of this op. */
  op?: string | undefined;
  /** Counted calls of each. @default 9 */
  rounds?: number;
  peer?: TorchPeer | undefined;
}

/** Times the cases one after the other. */
export async function* bench({ op, rounds = 9, peer }: BenchOptions): AsyncGenerator<BenchLine> {
  for (const of of cases) if (!op || of.op === op) yield* await time(of, rounds, peer);
}

export const benchOps = (): string[] => [...new Set(cases.map(({ op }) => op))];
