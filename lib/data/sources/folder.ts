import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { noImages, readBytes, unreadable } from '../bytes.js';
import { type Dataset, numbered, type Sample } from '../dataset.js';
import { decode } from '../decode.js';

export const imageName = /\.(jpe?g|png|webp|gif|tiff?|avif)$/i;

/** Where a link leads in the end. */
async function followed(link: string) {
  const real = await realpath(link);
  return { real, target: await stat(real) };
}

/**
 * Finds every image below a folder, by its path with `/` between folders. Links are followed after all
 * that is there itself, so that a link never takes a folder's place; a folder is read once, so that
 * links that lead back end.
 */
class Walk {
  readonly keys: string[] = [];
  readonly warnings: string[] = [];
  private readonly links: string[] = [];
  private readonly read = new Set<string>();

  constructor(private readonly root: string) {}

  async all(): Promise<void> {
    await this.folder('', await realpath(this.root));
    for (const key of this.links) await this.link(key); // grows on the way
  }

  /** What lies in the folder `real`, under names that begin with `prefix`. */
  private async folder(prefix: string, real: string): Promise<void> {
    this.read.add(real);
    const entries = await readdir(real, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const key = prefix + entry.name;
      if (entry.isSymbolicLink()) this.links.push(key);
      else if (entry.isDirectory()) await this.unread(key, join(real, entry.name));
      else if (entry.isFile()) this.file(key);
    }
  }

  private file(key: string): void {
    if (imageName.test(key)) this.keys.push(key);
  }

  private async unread(key: string, real: string): Promise<void> {
    if (!this.read.has(real)) return this.folder(`${key}/`, real);
    this.warnings.push(`${join(this.root, key)}: the folder ${real} is read already, left out`);
  }

  private async link(key: string): Promise<void> {
    const path = join(this.root, key);
    const found = await followed(path).catch(({ code }: NodeJS.ErrnoException) => {
      this.warnings.push(`${path}: the link cannot be followed (${code}), left out`);
    });
    if (found?.target.isDirectory()) await this.unread(key, found.real);
    else if (found?.target.isFile()) this.file(key);
  }
}

const classOf = (key: string) => key.slice(0, Math.max(0, key.lastIndexOf('/')));

/**
 * A folder of images: one folder a class, or flat and without labels. Links are followed; one that leads
 * nowhere, or to a folder that is read already, is left out with a warning.
 */
export async function openFolder(folder: string): Promise<Dataset> {
  const walk = new Walk(folder);
  await walk.all().catch((cause: unknown) => {
    throw unreadable(folder, cause);
  });
  const { warnings } = walk;
  const keys = walk.keys.sort();
  if (!keys.length)
    throw noImages(
      folder,
      warnings,
      'Images end in .jpg, .png, .webp, .gif, .tif or .avif; they may lie in folders.',
    );
  const { classes, of } = numbered(keys.map(classOf));
  const labelled = classes.length > 1;
  const samples: Sample[] = keys.map((key) => ({
    key,
    label: labelled ? of.get(classOf(key)) : undefined,
    load: async () => decode(await readBytes(join(folder, key)), join(folder, key)),
  }));
  return { name: folder, samples, classes: labelled ? classes : [], warnings };
}
