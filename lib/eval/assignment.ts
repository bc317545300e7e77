/**
 * The one-to-one matching of rows to columns of largest sum (Kuhn 1955, Munkres 1957, by shortest
 * augmenting paths with potentials): the column of each row; a number beyond the table where a row has
 * no partner.
 */
export function largestAssignment(gain: readonly (readonly number[])[]): number[] {
  const size = Math.max(gain.length, gain[0]?.length ?? 0);
  const cost = (row: number, column: number) => -(gain[row]?.[column] ?? 0);
  const rowPotential = new Float64Array(size);
  const columnPotential = new Float64Array(size + 1);
  const rowOf = new Int32Array(size + 1).fill(-1);
  for (let row = 0; row < size; row++) {
    rowOf[size] = row;
    const from = shortestPath(size, cost, rowPotential, columnPotential, rowOf);
    for (let column = from.end; column !== size; ) {
      const before = from.previous[column]!;
      rowOf[column] = rowOf[before]!;
      column = before;
    }
  }
  const columns = Array<number>(gain.length).fill(size);
  for (let column = 0; column < size; column++)
    if (rowOf[column]! < gain.length) columns[rowOf[column]!] = column;
  return columns;
}

/** From the artificial column `size` to the nearest free one; moves the potentials on the way. */
function shortestPath(
  size: number,
  cost: (row: number, column: number) => number,
  rowPotential: Float64Array,
  columnPotential: Float64Array,
  rowOf: Int32Array,
): { end: number; previous: Int32Array } {
  const distance = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
  const previous = new Int32Array(size).fill(size);
  const done = new Uint8Array(size + 1);
  let at = size;
  while (rowOf[at]! >= 0) {
    done[at] = 1;
    const row = rowOf[at]!;
    let next = -1;
    for (let column = 0; column < size; column++) {
      if (done[column]) continue;
      const reduced = cost(row, column) - rowPotential[row]! - columnPotential[column]!;
      if (reduced < distance[column]!) {
        distance[column] = reduced;
        previous[column] = at;
      }
      if (next < 0 || distance[column]! < distance[next]!) next = column;
    }
    const step = distance[next]!;
    for (let column = 0; column <= size; column++) {
      if (done[column]) {
        rowPotential[rowOf[column]!]! += step;
        columnPotential[column]! -= step;
      } else if (column < size) distance[column]! -= step;
    }
    at = next;
  }
  return { end: at, previous };
}
