// The same run on the CPU and on the GPU: losses step by step, and prototypes in use at the end.
// Rounding differs, and training amplifies it, so only the first steps must agree closely.
import { join } from 'node:path';
import { jsonLines, node, ownLibraries, reasons, root, run } from '../process.mjs';
import { within } from '../schedule.mjs';
import { number } from '../table.mjs';

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
  const lines = jsonLines(result.stdout);
  const end = lines.find((line) => line.end);
  return {
    losses: lines.filter((line) => line.step).map((line) => line.loss),
    unique: end?.unique,
    seconds: result.seconds,
    late: result.late,
    why: end ? [] : reasons(result).map((reason) => `${device}: ${reason}`),
  };
}

/** Of the steps that both have done. */
function compare(cpu, cuda) {
  const steps = Math.min(cpu.losses.length, cuda.losses.length);
  if (!steps) return { steps };
  const differences = cuda.losses.slice(0, steps).map((loss, i) => distance(loss, cpu.losses[i]));
  const tails = [cuda, cpu].map((run) =>
    mean(run.losses.slice(0, steps).slice(-Math.ceil(steps * last))),
  );
  return {
    steps,
    firstDifference: Math.max(...differences.slice(0, first)),
    largestDifference: Math.max(...differences),
    meanDifference: mean(differences),
    endDifference: distance(...tails),
  };
}

function said({ steps, firstDifference, endDifference }, cpu, cuda) {
  const unique = ({ unique }) => (unique ? `${unique.unique} of ${unique.total}` : 'unknown');
  const differ = `${number(firstDifference)} at first, ${number(endDifference)} at the end`;
  return [
    `${steps} steps, losses differ by ${differ}; unique prototypes ${unique(cpu)} on the CPU, ${unique(cuda)} on the GPU`,
    ...cpu.why,
    ...cuda.why,
  ];
}

export async function train({ until, steps }) {
  const cpu = await losses('cpu', steps, within(0.6, until));
  const cuda = await losses('cuda', steps, until);
  const compared = compare(cpu, cuda);
  const close = compared.firstDifference < 1e-3 && compared.endDifference < 0.05;
  const broken = [cpu, cuda].some(({ why, late }) => why.length && !late);
  const incomplete = cpu.late || cuda.late;
  const ok = !broken && (close || !compared.steps);
  return { ok, incomplete, ...compared, cpu, cuda, said: said(compared, cpu, cuda) };
}
