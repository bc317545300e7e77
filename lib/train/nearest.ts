/** How many letters must change to make one word of another (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The known name that is most like `name`, if any is like it. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const scored = known.map((other) => ({
    other,
    score: distance(name.toLowerCase(), other.toLowerCase()),
  }));
  const best = scored.sort((a, b) => a.score - b.score)[0];
  return best && best.score <= Math.max(2, name.length / 2) ? best.other : undefined;
}
