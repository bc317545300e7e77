// What five epsilons by both rules cost against each alone, in processor time of all threads, the
// least of the rounds: node scripts/bench-epsilons.mjs [K 16384] [rounds 5] [sets by name].
// PROTEA_THREADS=1 keeps waiting threads out of it.
import { normals } from '../dist/lib/nn/index.js';
import { prototypeGroups, tensor } from '../dist/lib/tensor/index.js';

const [K, rounds] = [Number(process.argv[2] ?? 16384), Number(process.argv[3] ?? 5)];
const asked = new RegExp(process.argv[4] ?? '');
const P = 256;
const five = [0.005, 0.01, 0.025, 0.05, 0.1];

/** K prototypes around M directions; copies of one are about `distance` apart. */
function around(M, distance) {
  const centres = normals(1, 0, 0, M * P);
  const scale = Math.sqrt(distance / (1 - distance));
  const noise = normals(2, 0, 0, K * P);
  return noise.map((v, i) => centres[(Math.floor(i / P) % M) * P + (i % P)] + scale * v);
}

/** K prototypes that spread over a cloud of few dimensions, so that groups touch and chain. */
function cloud(dims) {
  const [axes, at] = [normals(3, 0, 0, dims * P), normals(4, 0, 0, K * dims)];
  const values = new Float32Array(K * P);
  for (let k = 0; k < K; k++)
    for (let d = 0; d < dims; d++)
      for (let p = 0; p < P; p++) values[k * P + p] += at[k * dims + d] * axes[d * P + p];
  return values;
}

/** The same as `around`, with sizes as a collapsed head has them: few directions take most copies. */
function collapsed(M) {
  const centres = normals(1, 0, 0, M * P);
  const noise = normals(2, 0, 0, K * P);
  const at = Array.from({ length: K }, (_, k) =>
    k < M ? k : Math.floor(M * (((k * 7919) % K) / K) ** 6),
  );
  return noise.map((v, i) => centres[at[Math.floor(i / P)] * P + (i % P)] + 0.1 * v);
}

/** Two groups whose members are all almost near to those of the other one. */
function twins(gap) {
  const values = around(1, 0.005);
  const [first, second] = [normals(1, 0, 0, P), normals(9, 0, 0, P)];
  const along = dot(first, second) / dot(first, first);
  const aside = second.map((v, p) => v - along * first[p]);
  const by = Math.tan(Math.acos(1 - gap)) * Math.sqrt(dot(first, first) / dot(aside, aside));
  return values.map((v, i) => (Math.floor(i / P) % 2 ? v + by * aside[i % P] : v));
}
const dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);

const sets = {
  'none near': () => normals(1, 0, 0, K * P),
  [`around ${K / 4} directions`]: () => around(K / 4, 0.01),
  'collapsed, 939 directions': () => collapsed(939),
  'cloud of 12 dimensions': () => cloud(12),
  'two groups 0.13 apart': () => twins(0.13),
  'all equal': () => new Float32Array(K * P).fill(1),
};

const calls = {
  ...Object.fromEntries(five.map((epsilon) => [epsilon, (w) => prototypeGroups(w, [epsilon])])),
  five: (w) => prototypeGroups(w, five),
};

async function time(call, w) {
  const begin = process.cpuUsage();
  const found = call(w);
  await found.read();
  found.dispose();
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1000;
}

for (const [name, make] of Object.entries(sets)) {
  if (!asked.test(name)) continue;
  const w = tensor(Float32Array.from(make()), [K, P]);
  const least = Object.fromEntries(Object.keys(calls).map((call) => [call, Infinity]));
  for (let round = 0; round <= rounds; round++)
    for (const [call, run] of Object.entries(calls)) {
      const ms = await time(run, w);
      if (round) least[call] = Math.min(least[call], ms);
    }
  w.dispose();
  const alone = five.map((epsilon) => least[epsilon]);
  const ratio = (one) => (least.five / one).toFixed(2);
  console.log(
    `${name}: alone ${alone.map((ms) => ms.toFixed(0)).join(', ')} ms, five ${least.five.toFixed(0)} ms: ${ratio(Math.max(...alone))} of the dearest, ${ratio(least[0.025])} of 0.025`,
  );
}
