import { on } from 'node:events';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { noImages, streamUnpacked } from '../bytes.js';
import { classNumber, type Dataset, numbered, type Sample } from '../dataset.js';
import { decode } from '../decode.js';
import { imageName } from './folder.js';

interface Entry {
  /** Name inside the archive. */
  name: string;
  archive: string;
  bytes: Uint8Array;
}

/** Names that climb out of the archive's folder are never used. */
const isUnsafe = (name: string) => name.startsWith('/') || name.split('/').includes('..');

/**
 * What a stream gives until it ends or fails. Its own iterator would drop what was ready when it
 * failed, now more, now less: a damaged archive must be the same data set every time.
 */
async function* untilFailure(source: Readable, failed: (cause: Error) => void) {
  try {
    for await (const [chunk] of on(source, 'data', { close: ['end'] })) yield chunk as Buffer;
  } catch (cause) {
    failed(cause as Error);
  } finally {
    source.destroy();
  }
}

async function readEntries(archive: string, warnings: string[]): Promise<Entry[]> {
  const entries: Entry[] = [];
  const unpack = extract();
  unpack.on('entry', (header, stream, next) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => {}); // of an entry that is cut off: the archive fails with it
    stream.on('data', (chunk) => chunks.push(chunk as Buffer));
    stream.on('end', () => {
      const name = header.name.replace(/^\.\//, '');
      const bytes = Buffer.concat(chunks);
      if (bytes.length !== header.size)
        warnings.push(`${archive}: ${name} is cut off and left out`);
      else if (isUnsafe(name))
        warnings.push(`${archive}: refused the name ${name}, which leaves its folder`);
      else if (header.type === 'file') entries.push({ name, archive, bytes });
      next();
    });
  });
  const source = await streamUnpacked(archive);
  let failure: Error | undefined;
  const failed = (cause: Error) => {
    failure ??= cause;
  };
  await pipeline(untilFailure(source, failed), unpack).catch(failed);
  if (failure)
    warnings.push(`${archive}: ${failure.message}; ${entries.length} whole entries are used`);
  return entries;
}

/** A WebDataset sample's key: the name up to its first dot. */
function keyOf(name: string): string {
  const dot = name.indexOf('.', name.lastIndexOf('/') + 1);
  return dot < 0 ? name : name.slice(0, dot);
}

const folderOf = (name: string) => name.slice(0, Math.max(0, name.lastIndexOf('/')));

interface Labels {
  classes: string[];
  of(image: Entry): number | undefined;
}

/** Labels from the .cls entries beside the images. */
function labelsFromEntries(entries: readonly Entry[], warnings: string[]): Labels | undefined {
  const texts = entries.filter(({ name }) => name.endsWith('.cls'));
  if (!texts.length) return undefined;
  const labels = new Map<string, number>();
  for (const { name, archive, bytes } of texts) {
    const text = Buffer.from(bytes).toString();
    const label = classNumber(text);
    if (label !== undefined) labels.set(`${archive} ${keyOf(name)}`, label);
    else
      warnings.push(
        `${archive}: ${name}: labels must be whole numbers, got "${text.trim().slice(0, 80)}"`,
      );
  }
  return { classes: [], of: ({ archive, name }) => labels.get(`${archive} ${keyOf(name)}`) };
}

/** Labels from the folders the images lie in. */
function labelsFromFolders(images: readonly Entry[]): Labels {
  const { classes, of } = numbered(images.map(({ name }) => folderOf(name)));
  return classes.length > 1
    ? { classes, of: ({ name }) => of.get(folderOf(name)) }
    : { classes: [], of: () => undefined };
}

/**
 * Tar archives (.tar, .tar.gz, .tgz), read into memory: WebDataset shards with .cls labels, or folders
 * as in an image folder. `prefix` keeps only the entries below a folder of the archive. What comes after
 * a damaged place and names that leave the folder are left out, with a warning.
 */
export async function openTar(
  name: string,
  archives: readonly string[],
  prefix: string,
): Promise<Dataset> {
  const warnings: string[] = [];
  const parts: Entry[][] = [];
  for (const archive of archives) parts.push(await readEntries(archive, warnings));
  const entries = parts.flat();
  const images = entries.filter(
    (entry) => imageName.test(entry.name) && entry.name.startsWith(prefix),
  );
  if (!images.length)
    throw noImages(
      name,
      warnings,
      prefix ? `No entry begins with "${prefix}".` : 'Images end in .jpg, .png, .webp, ...',
    );
  const labels = labelsFromEntries(entries, warnings) ?? labelsFromFolders(images);
  const samples: Sample[] = images.map((image) => ({
    key: image.name,
    label: labels.of(image),
    load: () => decode(image.bytes, `${image.archive}: ${image.name}`),
  }));
  return { name, samples, classes: labels.classes, warnings };
}
