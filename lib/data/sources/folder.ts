import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { ProteaError } from '../../error.js';
import { readBytes, unreadable } from '../bytes.js';
import { type Dataset, numbered, type Sample } from '../dataset.js';
import { decode } from '../decode.js';

export const imageName = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;

/** Every image below `folder`, sorted by path, with `/` between folders. */
async function imagesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && imageName.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

const classOf = (key: string) => key.slice(0, Math.max(0, key.lastIndexOf('/')));

/** A folder of images: one folder a class, or flat and without labels. */
export async function openFolder(folder: string): Promise<Dataset> {
  const keys = await imagesUnder(folder).catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  if (!keys.length)
    throw new ProteaError('ERR_PROTEA_DATA', `${folder} holds no images`, {
      hint: 'Images end in .jpg, .png, .webp, .gif, .tif or .avif; they may lie in folders.',
    });
  const { classes, of } = numbered(keys.map(classOf));
  const labelled = classes.length > 1;
  const samples: Sample[] = keys.map((key) => ({
    key,
    label: labelled ? of.get(classOf(key)) : undefined,
    load: async () => decode(await readBytes(join(folder, key)), join(folder, key)),
  }));
  return { name: folder, samples, classes: labelled ? classes : [], warnings: [] };
}
