/** A number over seeds. */
export interface SeedSpread {
  values: number[];
  mean: number;
  /** Standard deviation over seeds (of n - 1); null for one seed. */
  deviation: number | null;
}

/** Items by key, in the order of each key's first. */
export function grouped<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}

/** Mean and deviation; null when no seed has the number. */
export function spreadOver(given: readonly (number | null | undefined)[]): SeedSpread | null {
  const values = given.filter((v) => typeof v === 'number');
  if (!values.length) return null;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const square = values.reduce((sum, v) => sum + (v - mean) ** 2, 0);
  const deviation = values.length > 1 ? Math.sqrt(square / (values.length - 1)) : null;
  return { values, mean, deviation };
}

/** "27.1 ± 0.3", or the one number. */
export function spreadText(spread: SeedSpread | null, digits: number): string {
  if (!spread) return '-';
  const { mean, deviation } = spread;
  return `${mean.toFixed(digits)}${deviation === null ? '' : ` ± ${deviation.toFixed(digits)}`}`;
}
