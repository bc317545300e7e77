// How the minutes are dealt out: what a part leaves over goes to the later ones, and a part that runs
// alone gets all.

/** Shares of the time, in the order of the parts. */
const shares = { ops: 140, sanitize: 90, train: 60, bench: 180 };
export const parts = Object.keys(shares);

const usual = 8; // minutes
const ending = 8000; // ms for the table, the logs, and programs that are slow to go

/** Until when all of it may run, in ms since 1970; `run` has noted when it began to unpack. */
export function deadline(minutes) {
  const began = 1000 * Number(process.env.PROTEA_BEGAN) || Date.now();
  return began + 60_000 * minutes - ending;
}

/** Until when the first of the parts that are still to come may run. */
export function turn(rest, end, now = Date.now()) {
  const sum = (names) => names.reduce((total, name) => total + shares[name], 0);
  return now + ((end - now) * shares[rest[0]]) / sum(rest);
}

/** When this fraction of the time that is left will be over. */
export const within = (fraction, until, now = Date.now()) => now + fraction * (until - now);

/** By how much limits of single programs grow, for slow machines and for emulation. */
export const patience = (minutes, emulated) => Math.max(1, minutes / usual) * (emulated ? 10 : 1);
export const defaults = { minutes: String(usual), steps: '200' };
