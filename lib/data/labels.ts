import { readFile } from 'node:fs/promises';
import { ProteaError } from '../error.js';
import { unreadable } from './bytes.js';
import type { Dataset, Sample } from './dataset.js';

interface Row {
  key: string;
  label: number;
  line: number;
}

function parse(path: string, text: string): Row[] {
  const [header, ...lines] = text.split(/\r?\n/);
  if (!/^[^,]+,label$/.test(header?.trim() ?? ''))
    throw new ProteaError(
      'ERR_PROTEA_DATA',
      `${path}:1: expected the header "path_or_index,label", got "${header}"`,
    );
  return lines.flatMap((line, i) => {
    if (!line.trim()) return [];
    const comma = line.lastIndexOf(',');
    const label = Number(line.slice(comma + 1));
    if (comma < 1 || !Number.isInteger(label) || label < 0)
      throw new ProteaError(
        'ERR_PROTEA_DATA',
        `${path}:${i + 2}: expected "key,label", got "${line}"`,
      );
    return [{ key: line.slice(0, comma), label, line: i + 2 }];
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

/**
 * The rows of a CSV "path_or_index,label": a subset of the data set, in the list's order, with the
 * list's labels.
 * @throws ERR_PROTEA_DATA naming file and line of a row that is malformed or names no sample
 */
export async function withLabels(dataset: Dataset, path: string): Promise<Dataset> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  const named = byName(dataset.samples);
  const samples = parse(path, text).map(({ key, label, line }): Sample => {
    const sample = named.get(key);
    if (!sample)
      throw new ProteaError(
        'ERR_PROTEA_DATA',
        `${path}:${line}: ${dataset.name} has no sample "${key}"`,
      );
    return { ...sample, label };
  });
  if (!samples.length) throw new ProteaError('ERR_PROTEA_DATA', `${path}: the list is empty`);
  return { ...dataset, samples };
}
