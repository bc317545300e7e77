// Where checkpoints keep their prototypes.
import { ProteaError } from '../error.js';
import type { TensorFile } from '../formats/tensor-file.js';

export interface FoundHead {
  /** Name of the tensor (K, P) in the file. */
  name: string;
  /** Name of its learnt magnitudes (K, 1), for weight-normed heads. */
  gains: string | undefined;
  /** Rows are directions whose lengths are divided out. */
  weightNormed: boolean;
  network: 'student' | 'teacher' | null;
  /** Other names of the same numbers: heads that share their prototypes. */
  shared: string[];
}

/**
 * Spellings: DINO, iBOT (last_layer2) and DINOv2 by weight norm, old and new; DINOv3 and other plain
 * last layers; MSN and SwAV (prototypes); CAPI's clustering (head.layer).
 */
const spellings: readonly RegExp[] = [
  /(^|\.)last_layer2?\.(weight_v|parametrizations\.weight\.original1|weight)$/,
  /(^|\.)prototypes?(\.(prototypes)?\d+)?(\.weight(_v)?|\.parametrizations\.weight\.original1)?$/,
  /(^|\.)head\.layer\.weight$/,
];

const moments = /(^|\.)((\w+_)?optimi[sz]er|opt|exp_avg(_sq)?|momentum_buffer)\./;

const gainNames: readonly [RegExp, string][] = [
  [/weight_v$/, 'weight_g'],
  [/original1$/, 'original0'],
];

/** Whose a tensor is, by its name. */
export function networkOf(name: string): FoundHead['network'] {
  if (/(^|[._])(teacher|target|ema|momentum)([._]|$)/.test(name)) return 'teacher';
  return /(^|[._])student([._]|$)/.test(name) ? 'student' : null;
}

function headAt(file: TensorFile, name: string): FoundHead {
  const spelling = gainNames.find(([ending]) => ending.test(name));
  const gains = spelling && name.replace(spelling[0], spelling[1]);
  return {
    name,
    gains: gains && file.names.includes(gains) ? gains : undefined,
    weightNormed: spelling !== undefined,
    network: networkOf(name),
    shared: [],
  };
}

/** Heads that are the same numbers under two names are one. */
function merged(file: TensorFile, heads: readonly FoundHead[]): FoundHead[] {
  const found = new Map<string, FoundHead>();
  for (const head of heads) {
    const key = file.identityOf?.(head.name) ?? head.name;
    const known = found.get(key);
    if (known) known.shared.push(head.name);
    else found.set(key, head);
  }
  return [...found.values()];
}

const isMatrix = (shape: readonly number[]) => shape.length === 2 && shape[0]! > 1 && shape[1]! > 0;

/**
 * The prototypes of a file: those of known names, or the one that is asked for.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT when there are none, with the matrices that might be some
 */
export function findHeads(file: TensorFile, asked?: string): FoundHead[] {
  const matrices = file.names.filter((name) => isMatrix(file.shapeOf(name)) && !moments.test(name));
  if (asked !== undefined) {
    if (file.names.includes(asked)) return [headAt(file, asked)];
    throw missing(file, `has no tensor "${asked}"`, matrices);
  }
  const known = matrices.filter((name) => spellings.some((spelling) => spelling.test(name)));
  if (known.length)
    return merged(
      file,
      known.map((name) => headAt(file, name)),
    );
  if (file.format === 'npy' && matrices.length) return [headAt(file, matrices[0]!)];
  throw missing(file, 'has no prototypes under a known name', matrices);
}

const shownCandidates = 12;

/** More rows than columns first, the largest of them ahead: that is what prototypes look like. */
function missing(file: TensorFile, what: string, matrices: readonly string[]): ProteaError {
  const ratio = (name: string) => file.shapeOf(name)[0]! / file.shapeOf(name)[1]!;
  const layers = /(^|\.)(blocks|layers?)\.\d+\./;
  const candidates = matrices
    .filter((name) => !layers.test(name) && file.shapeOf(name)[1]! > 1)
    .sort((a, b) => ratio(b) - ratio(a))
    .slice(0, shownCandidates)
    .map((name) => `${name} (${file.shapeOf(name).join(', ')})`);
  const isBackbone = file.names.some((name) => name.endsWith('patch_embed.proj.weight'));
  const none = isBackbone
    ? 'This is a backbone without its head, as most downloads are: take the full checkpoint of the training.'
    : 'The file has no matrix of two rows or more.';
  return new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${file.path} ${what}`, {
    hint: candidates.length
      ? `Name one with --tensor. Candidates by shape: ${candidates.join(', ')}`
      : none,
  });
}
