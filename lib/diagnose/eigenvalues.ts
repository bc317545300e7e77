// Eigenvalues of a symmetric matrix: Householder's reduction to three diagonals, then implicit QL
// (Wilkinson and Reinsch 1971, "Linear algebra", II/2 and II/3).

interface Diagonals {
  main: Float64Array;
  /** below[i] lies beside main[i] and main[i + 1]. */
  below: Float64Array;
}

/** One reflection: row and column `k` of a (n, n) keep two numbers. Returns that beside the diagonal. */
function reflect(a: Float64Array, n: number, k: number): number {
  const at = (i: number, j: number) => a[i * n + j]!;
  let square = 0;
  for (let i = k + 1; i < n; i++) square += at(i, k) ** 2;
  const first = at(k + 1, k);
  const length = first > 0 ? -Math.sqrt(square) : Math.sqrt(square);
  const norm = square - first * length; // ||v||² / 2 of the mirror's normal v
  if (norm === 0) return length;
  const v = new Float64Array(n);
  for (let i = k + 1; i < n; i++) v[i] = at(i, k);
  v[k + 1]! -= length;
  const p = new Float64Array(n);
  for (let i = k + 1; i < n; i++) {
    let sum = 0;
    for (let j = k + 1; j < n; j++) sum += at(i, j) * v[j]!;
    p[i] = sum / norm;
  }
  const along = v.reduce((sum, value, i) => sum + value * p[i]!, 0) / (2 * norm);
  for (let i = k + 1; i < n; i++)
    for (let j = k + 1; j < n; j++)
      a[i * n + j]! -= v[i]! * (p[j]! - along * v[j]!) + (p[i]! - along * v[i]!) * v[j]!;
  return length;
}

function tridiagonal(matrix: Float64Array, n: number): Diagonals {
  const a = matrix.slice();
  const below = new Float64Array(n);
  for (let k = 0; k + 1 < n; k++) below[k] = k + 2 < n ? reflect(a, n, k) : a[(k + 1) * n + k]!;
  return { main: Float64Array.from({ length: n }, (_, i) => a[i * n + i]!), below };
}

/** One QL sweep over main[from ... to]. */
function sweep({ main, below }: Diagonals, from: number, to: number): void {
  const half = (main[from + 1]! - main[from]!) / (2 * below[from]!);
  const shift = half + (half < 0 ? -1 : 1) * Math.hypot(half, 1);
  let g = main[to]! - main[from]! + below[from]! / shift;
  let [sine, cosine, carried] = [1, 1, 0];
  for (let i = to - 1; i >= from; i--) {
    const f = sine * below[i]!;
    const b = cosine * below[i]!;
    const r = Math.hypot(f, g);
    below[i + 1] = r;
    if (r === 0) {
      main[i + 1]! -= carried;
      below[to] = 0;
      return;
    }
    [sine, cosine] = [f / r, g / r];
    g = main[i + 1]! - carried;
    const t = (main[i]! - g) * sine + 2 * cosine * b;
    carried = sine * t;
    main[i + 1] = g + carried;
    g = cosine * t - b;
  }
  main[from]! -= carried;
  below[from] = g;
  below[to] = 0;
}

/** The eigenvalues of a symmetric matrix (n, n), rising. */
export function symmetricEigenvalues(matrix: Float64Array, n: number): Float64Array {
  const diagonals = tridiagonal(matrix, n);
  const { main, below } = diagonals;
  for (let from = 0; from < n; from++)
    for (let turn = 0; turn < 60; turn++) {
      let to = from;
      while (to + 1 < n) {
        const size = Math.abs(main[to]!) + Math.abs(main[to + 1]!);
        if (Math.abs(below[to]!) <= Number.EPSILON * size) break;
        to++;
      }
      if (to === from) break;
      sweep(diagonals, from, to);
    }
  return main.sort();
}
