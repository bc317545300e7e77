// A Python whose PyTorch sees the card, if there is one; for a trial any PyTorch will do.
import { run, tail } from './process.mjs';

/**
 * { program } or { why }. It is asked at the start, beside the first parts: from a cold disk the import
 * takes longer than a case of the benchmark.
 */
export async function python(trial, until) {
  const seen = trial ? 'True' : 'torch.cuda.is_available()';
  const probe = `import sys, torch; sys.exit(0 if ${seen} else "PyTorch sees no card")`;
  const why = [];
  for (const program of process.env.PYTHON ? [process.env.PYTHON] : ['python3', 'python']) {
    const asked = await run(`probe ${program}`, [program, '-c', probe], { until, limit: 120 });
    if (asked.status === 0) return { program };
    why.push(`${program}: ${asked.hung ? 'hung' : tail(asked.text, 1)}`);
  }
  return { why: why.join('; ') };
}
