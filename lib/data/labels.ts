import { readFile } from 'node:fs/promises';
import { ProteaError } from '../error.js';
import { unreadable } from './bytes.js';
import { classNumber, type Dataset, type Sample } from './dataset.js';

interface Row {
  key: string;
  label: number;
  line: number;
}

function parseRow(line: string, at: string): Pick<Row, 'key' | 'label'> {
  const comma = line.lastIndexOf(',');
  if (comma < 1)
    throw new ProteaError('ERR_PROTEA_DATA', `${at}: expected "key,label", got "${line}"`);
  const text = line.slice(comma + 1);
  const label = classNumber(text);
  if (label !== undefined) return { key: line.slice(0, comma), label };
  throw new ProteaError('ERR_PROTEA_DATA', `${at}: labels must be whole numbers, got "${text}"`, {
    hint: 'Number the classes 0, 1, 2, ...',
  });
}

function parse(path: string, text: string): Row[] {
  const [header, ...lines] = text.split(/\r?\n/);
  if (!/^[^,]+,label$/.test(header?.trim() ?? ''))
    throw new ProteaError(
      'ERR_PROTEA_DATA',
      `${path}:1: expected the header "path_or_index,label", got "${header}"`,
    );
  return lines.flatMap((text, i) => {
    const line = i + 2;
    return text.trim() ? [{ ...parseRow(text, `${path}:${line}`), line }] : [];
  });
}

/** A list may name a sample with or without its suffix. */
function byName(samples: readonly Sample[]): Map<string, Sample> {
  const named = new Map<string, Sample>();
  for (const sample of samples) {
    const bare = sample.key.replace(/\.[^./]*$/, '');
    if (!named.has(bare)) named.set(bare, sample);
  }
  for (const sample of samples) named.set(sample.key, sample);
  return named;
}

/** A list's numbers bear the names of the data set only where both number every sample alike. */
function namesOf({ classes }: Dataset, own: readonly Sample[], listed: readonly Sample[]) {
  return own.every(({ label }, i) => label === listed[i]!.label) ? classes : [];
}

/**
 * The rows of a CSV "path_or_index,label": a subset of the data set, in the list's order, with the
 * list's labels. The names of the classes are kept where the list numbers them as the data set does.
 * @throws ERR_PROTEA_DATA naming file and line of a row that is malformed or names no sample
 */
export async function withLabels(dataset: Dataset, path: string): Promise<Dataset> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const named = byName(dataset.samples);
  const rows = parse(path, text);
  const own = rows.map(({ key, line }): Sample => {
    const sample = named.get(key);
    if (sample) return sample;
    throw new ProteaError(
      'ERR_PROTEA_DATA',
      `${path}:${line}: ${dataset.name} has no sample "${key}"`,
    );
  });
  if (!own.length) throw new ProteaError('ERR_PROTEA_DATA', `${path}: the list is empty`);
  const samples = own.map((sample, i) => ({ ...sample, label: rows[i]!.label }));
  return { ...dataset, samples, classes: namesOf(dataset, own, samples) };
}
