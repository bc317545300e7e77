// An index over several safetensors files, as model.safetensors.index.json.
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { duplicateKey } from './json-keys.js';
import { damaged } from './read-at.js';
import { SafetensorsFile, type SafetensorsTensor } from './safetensors.js';

const maxIndexBytes = 100 * 1024 * 1024;
const maxShards = 1 << 14;

const refuse = (file: string, reason: string) =>
  damaged(file, `not a valid index of safetensors files: ${reason}`);

/** Tensor names to file names beside the index: no folders, nothing that leads elsewhere. */
async function weightMap(path: string): Promise<Map<string, string>> {
  const { size } = await stat(path);
  if (size > maxIndexBytes) throw refuse(path, `it has ${size} bytes`);
  const text = await readFile(path, 'utf8');
  let parsed: { weight_map?: unknown };
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw refuse(path, `it is not JSON (${(cause as Error).message})`);
  }
  const map = parsed.weight_map;
  if (map === null || typeof map !== 'object' || Array.isArray(map))
    throw refuse(path, 'it has no "weight_map"');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw refuse(path, `it names ${JSON.stringify(twice)} twice`);
  for (const [name, file] of Object.entries(map))
    if (typeof file !== 'string' || !/^[^/\\:\0]+$/.test(file) || file === '..' || file === '.')
      throw refuse(path, `${JSON.stringify(name)} lies in ${JSON.stringify(file)}`);
  return new Map(Object.entries(map as Record<string, string>));
}

/** Several safetensors files as one. A file is opened when one of its tensors is asked for. */
export class ShardedSafetensors {
  private constructor(
    readonly path: string,
    private readonly files: ReadonlyMap<string, SafetensorsFile>,
    private readonly places: ReadonlyMap<string, string>,
  ) {}

  /** @throws ERR_PROTEA_CHECKPOINT_FORMAT naming the index or the file that does not fit to it */
  static async open(path: string): Promise<ShardedSafetensors> {
    const places = await weightMap(path);
    const files = new Map<string, SafetensorsFile>();
    const index = new ShardedSafetensors(path, files, places);
    try {
      const names = new Set(places.values());
      if (names.size > maxShards) throw refuse(path, `it names ${names.size} files`);
      for (const name of names) files.set(name, await opened(path, name));
      for (const [tensor, name] of places)
        if (!files.get(name)!.header.tensors.has(tensor))
          throw refuse(path, `${name} has no tensor "${tensor}"`);
      return index;
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  get names(): string[] {
    return [...this.places.keys()];
  }

  private fileOf(name: string): SafetensorsFile {
    const file = this.files.get(this.places.get(name) ?? '');
    if (!file) throw damaged(this.path, `there is no tensor "${name}"`);
    return file;
  }

  shapeOf(name: string): readonly number[] {
    return this.fileOf(name).header.tensors.get(name)!.shape;
  }

  async read(name: string): Promise<SafetensorsTensor> {
    return this.fileOf(name).read(name);
  }

  async close(): Promise<void> {
    for (const file of this.files.values()) await file.close();
  }
}

async function opened(index: string, name: string): Promise<SafetensorsFile> {
  try {
    return await SafetensorsFile.open(join(dirname(index), name));
  } catch (error) {
    if ((error as { cause?: NodeJS.ErrnoException }).cause?.code === 'ENOENT')
      throw refuse(index, `${name} is missing`);
    throw error;
  }
}
