// The same run on the CPU and on the GPU: losses step by step, and prototypes in use at the end.
// Rounding differs, and training amplifies it, so only the first steps must agree closely. On the GPU once
// more as CUDA graphs, which must not change a bit.
import { join } from 'node:path';
import { jsonLines, node, ownLibraries, reasons, root, run } from '../process.mjs';
import { within } from '../schedule.mjs';
import { number } from '../table.mjs';

const first = 5; // steps whose losses must agree
const last = 0.25; // share of the steps whose mean loss must agree
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const distance = (a, b) => Math.abs(a - b) / (Math.abs(b) + 0.1);

async function losses(device, steps, until, settings = []) {
  const script = join(root, 'bench', 'gpu', 'train-run.mjs');
  const command = [node, script, device, String(steps), ...settings];
  const name = ['train', device, ...settings].join(' ');
  const result = await run(name, command, { until, env: ownLibraries });
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

/** What the run as graphs has to say against the same run without: nothing, if all is well. */
function differing(graphs, cuda) {
  const steps = Math.min(graphs.losses.length, cuda.losses.length);
  const at = graphs.losses.slice(0, steps).findIndex((loss, i) => loss !== cuda.losses[i]);
  return at < 0 ? graphs.why : [...graphs.why, `as graphs: another loss at step ${at + 1}`];
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
  const cuda = await losses('cuda', steps, within(0.6, until));
  const graphs = await losses('cuda', steps, until, ['run.graphs=true']);
  const compared = compare(cpu, cuda);
  const wrong = differing(graphs, cuda);
  const close = compared.firstDifference < 1e-3 && compared.endDifference < 0.05;
  const broken = [cpu, cuda].some(({ why, late }) => why.length && !late);
  const incomplete = cpu.late || cuda.late || graphs.late;
  const ok = !broken && (close || !compared.steps) && (graphs.late || !wrong.length);
  const all = [...said(compared, cpu, cuda), ...wrong];
  return { ok, incomplete, ...compared, cpu, cuda, graphs, said: all };
}
