/** A smooth function and its gradient. */
export type Objective = (at: Float64Array) => Promise<{ value: number; gradient: Float64Array }>;

// Plain loops: a callback for each number costs more than all else in a fit.
function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function along(a: Float64Array, scale: number, b: Float64Array): Float64Array {
  const sum = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) sum[i] = a[i]! + scale * b[i]!;
  return sum;
}

interface Pair {
  s: Float64Array;
  y: Float64Array;
  rho: number;
}

/** -H g by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4). */
function direction(gradient: Float64Array, pairs: readonly Pair[]): Float64Array {
  let q: Float64Array = gradient.slice();
  const alphas: number[] = [];
  for (const { s, y, rho } of pairs.toReversed()) {
    alphas.unshift(rho * dot(s, q));
    q = along(q, -alphas[0]!, y);
  }
  const last = pairs.at(-1);
  const curvature = last ? last.rho * dot(last.y, last.y) : 1;
  q = q.map((v) => v / curvature);
  pairs.forEach(({ s, y, rho }, i) => {
    q = along(q, alphas[i]! - rho * dot(y, q), s);
  });
  return q.map((v) => -v);
}

/** Minimises a convex function by L-BFGS with backtracking, until the gradient is small. */
export async function minimise(
  objective: Objective,
  start: Float64Array,
  { iterations = 1000, tolerance = 1e-9, memory = 20 } = {},
): Promise<Float64Array> {
  let x: Float64Array = start;
  let { value, gradient } = await objective(x);
  let pairs: Pair[] = [];
  for (let i = 0; i < iterations; i++) {
    const steepness = Math.sqrt(dot(gradient, gradient));
    if (steepness <= tolerance * Math.max(1, Math.abs(value))) break;
    const d = direction(gradient, pairs);
    let step = pairs.length ? 1 : Math.min(1, 1 / steepness);
    let next = along(x, step, d);
    let found = await objective(next);
    while (!(found.value <= value + 1e-4 * step * dot(gradient, d)) && step > 1e-12) {
      step /= 2;
      next = along(x, step, d);
      found = await objective(next);
    }
    if (step <= 1e-12) break;
    const s = along(next, -1, x);
    const y = along(found.gradient, -1, gradient);
    const curvature = dot(s, y);
    if (curvature > 0) pairs = [...pairs.slice(1 - memory), { s, y, rho: 1 / curvature }];
    x = next;
    ({ value, gradient } = found);
  }
  return x;
}
