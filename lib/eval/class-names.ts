// Two data sets number their classes each by itself; their names tell which are the same.
import type { Dataset } from '../data/index.js';
import { ProteaError } from '../error.js';

/** Names without the folders that all of them lie in: train/cat, train/dog are cat, dog. */
function withoutRoot(names: readonly string[]): string[] {
  const folders = names.map((name) => name.split('/').slice(0, -1));
  const [first = []] = folders;
  const parts = first.findIndex((part, i) => folders.some((other) => other[i] !== part));
  const shared = parts < 0 ? first.length : parts;
  return names.map((name) => name.split('/').slice(shared).join('/'));
}

/** The number in `train` of each name of `test`; undefined where it is not there. */
function numbersOf(train: readonly string[], test: readonly string[]): (number | undefined)[] {
  const numbers = new Map(train.map((name, i) => [name, i]));
  return test.map((name) => numbers.get(name));
}

const usedLabels = ({ samples }: Dataset) => [
  ...new Set(samples.flatMap(({ label }) => (label === undefined ? [] : [label]))),
];

function unknown(train: Dataset, test: Dataset, label: number): ProteaError {
  const name = test.classes[label] ?? label;
  return new ProteaError(
    'ERR_PROTEA_DATA',
    `${test.name} has the class "${name}", which ${train.name} does not have`,
    { hint: 'Name the classes of both sets alike, and leave those out that are in one alone.' },
  );
}

/**
 * The test set under the class numbers of the training set, where both have names. Names are compared
 * as they are, or below the folder of each set (train/cat, test/cat), whichever leaves fewer unknown.
 * @throws ERR_PROTEA_DATA naming a class that the training set does not have
 */
export function numberedAs(train: Dataset, test: Dataset): Dataset {
  if (!train.classes.length || !test.classes.length) return test;
  const used = usedLabels(test);
  const [best] = [(names: readonly string[]) => names, withoutRoot]
    .map((shown) => numbersOf(shown(train.classes), shown(test.classes)))
    .map((numbers) => ({ numbers, missing: used.filter((c) => numbers[c] === undefined) }))
    .sort((a, b) => a.missing.length - b.missing.length);
  const { numbers, missing } = best!;
  if (missing.length) throw unknown(train, test, missing[0]!);
  const samples = test.samples.map((sample) => ({
    ...sample,
    label: sample.label === undefined ? undefined : numbers[sample.label],
  }));
  return { ...test, samples, classes: train.classes };
}
