// The same run on the CPU and on the GPU: losses step by step, and prototypes in use at the end.
// Rounding differs, and training amplifies it, so only the first steps must agree closely.
import { join } from 'node:path';
import { jsonLines, node, ownLibraries, root, run, tail } from '../process.mjs';

const first = 5; // steps whose losses must agree
const last = 0.25; // share of the steps whose mean loss must agree
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const distance = (a, b) => Math.abs(a - b) / (Math.abs(b) + 0.1);

async function losses(device, steps, until) {
  const script = join(root, 'bench', 'gpu', 'train-run.mjs');
  const result = await run(`train ${device}`, [node, script, device, String(steps)], {
    until,
    env: ownLibraries,
  });
  const lines = jsonLines(result.text);
  const end = lines.find((line) => line.end);
  return {
    losses: lines.filter((line) => line.step).map((line) => line.loss),
    unique: end?.unique,
    seconds: result.seconds,
    why: end ? [] : [...(result.late ? ['no time left'] : []), ...tail(result.text)],
  };
}

export async function train({ until, steps }) {
  const cpu = await losses('cpu', steps, until);
  const cuda = await losses('cuda', steps, until);
  const differences = cuda.losses.map((loss, i) => distance(loss, cpu.losses[i]));
  const tails = [cuda, cpu].map((run) => mean(run.losses.slice(-Math.ceil(steps * last))));
  const compared = {
    steps: cuda.losses.length,
    firstDifference: Math.max(...differences.slice(0, first)),
    largestDifference: Math.max(...differences),
    meanDifference: mean(differences),
    endDifference: distance(...tails),
  };
  const whole = cpu.losses.length === steps && cuda.losses.length === steps;
  const ok = whole && compared.firstDifference < 1e-3 && compared.endDifference < 0.05;
  return { ok, ...compared, cpu, cuda };
}
