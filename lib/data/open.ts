import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { ProteaError } from '../error.js';
import { type Dataset, spreadRows } from './dataset.js';
import { withLabels } from './labels.js';
import { openFlora } from './sources/flora.js';
import { openFolder } from './sources/folder.js';
import { openCifar, openIdx } from './sources/records.js';
import { openTar } from './sources/tar.js';

export interface OpenOptions {
  /** A CSV "path_or_index,label": the subset to use, and its labels. */
  labels?: string | undefined;
  /** Keeps at most so many samples, evenly spread. */
  images?: number | undefined;
}

/** Files that match a pattern with * in its last part. */
async function glob(pattern: string): Promise<string[]> {
  const folder = dirname(pattern);
  const expression = basename(pattern)
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*');
  const matching = new RegExp(`^${expression}$`);
  const names = existsSync(folder) ? await readdir(folder) : [];
  return names
    .filter((name) => matching.test(name))
    .sort()
    .map((name) => join(folder, name));
}

const isTar = (path: string) => /\.(tar|tar\.gz|tgz)$/.test(path);
const isIdx = (path: string) => /idx3[-.]ubyte(\.gz)?$/.test(path);
const isCifar = (path: string) => /\.bin(\.gz)?$/.test(path);

async function openSource(spec: string): Promise<Dataset> {
  if (spec === 'flora' || spec.startsWith('flora:')) return openFlora(spec.slice(6));
  const [path = '', prefix = ''] = spec.split('#');
  const files = path.includes('*') ? await glob(path) : [path];
  const first = files[0];
  if (!first || !existsSync(first)) {
    const where = isAbsolute(path) ? '' : ` in ${process.cwd()}`;
    throw new ProteaError('ERR_PROTEA_DATA', `${spec}: no such file or folder${where}`, {
      hint: 'Give an image folder, tar archives (a * is allowed), IDX or CIFAR binary files, or "flora".',
    });
  }
  if (files.every(isTar)) return openTar(spec, files, prefix);
  if (files.length > 1)
    throw new ProteaError('ERR_PROTEA_DATA', `${spec}: only tar archives can be joined by *`);
  if (statSync(first).isDirectory()) return openFolder(join(first, prefix));
  if (isIdx(first)) return openIdx(first);
  if (isCifar(first)) return openCifar(first);
  throw new ProteaError('ERR_PROTEA_DATA', `${spec}: cannot tell what kind of data this is`, {
    hint: 'Known: folders, .tar, .tar.gz, .tgz, idx3-ubyte, .bin (CIFAR), the last two also with .gz.',
  });
}

/**
 * Opens a data set: an image folder (a folder a class, or flat), tar archives or a glob of them,
 * IDX, CIFAR binary, or "flora[:classes=..,images=..,longtail=..]". "archive.tar#train" keeps what
 * lies below "train".
 * @throws ERR_PROTEA_DATA naming the file
 */
export async function openData(
  spec: string,
  { labels, images = Number.POSITIVE_INFINITY }: OpenOptions = {},
): Promise<Dataset> {
  const source = await openSource(spec);
  const dataset = labels ? await withLabels(source, labels) : source;
  if (dataset.samples.length <= images) return dataset;
  const kept = spreadRows(dataset.samples.length, images);
  return { ...dataset, samples: kept.map((row) => dataset.samples[row]!) };
}
