// One run of the laboratory in a process of its own: `child.js NAME SEED`. Talks over IPC: tells of
// each look and of the result, and is told how many threads it may use once other runs have ended.
import { native } from '../native.js';
import { Experiment } from './experiment.js';
import type { LabName } from './setting.js';

const [, , name, seed] = process.argv;
native((addon) => addon.setThreads(1));
process.on('message', ({ threads }: { threads: number }) =>
  native((addon) => addon.setThreads(threads)),
);
const experiment = new Experiment(name as LabName, Number(seed));
const result = await experiment.run((point) => process.send?.({ point }));
const message = {
  result: { ...result, directions: Array.from(result.directions), group: Array.from(result.group) },
};
// The channel must be empty before it is closed.
process.send?.(message, () => process.disconnect());
