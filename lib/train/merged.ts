/** Settings by section. */
export type Tree = { [key: string]: unknown };

const isTree = (value: unknown): value is Tree =>
  value !== null && typeof value === 'object' && !Array.isArray(value);

/** `over` on top of `base`, section by section; lists are replaced. */
export function merged(base: Tree, over: Tree): Tree {
  const result: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    result[key] = isTree(value) && isTree(below) ? merged(below, value) : value;
  }
  return result;
}
