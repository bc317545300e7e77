// The zip archives that torch.save writes: entries stored as they are, sizes beyond 4 GB in zip64.
import type { FileHandle } from 'node:fs/promises';
import { ProteaError } from '../error.js';

export interface ZipEntry {
  /** Where its bytes begin in the file. */
  begin: number;
  bytes: number;
}

const maxDirectory = 1 << 26;

const refuse = (file: string, what: string) =>
  new ProteaError('ERR_PROTEA_CHECKPOINT_FORMAT', `${file}: ${what}`, {
    hint: 'The archive is damaged or cut short, or was not written by torch.save.',
  });

/** Exactly `length` bytes at `begin`. */
export async function bytesAt(
  handle: FileHandle,
  file: string,
  begin: number,
  length: number,
): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(buffer, done, length - done, begin + done);
    if (!bytesRead) throw refuse(file, `ends before byte ${begin + length}`);
    done += bytesRead;
  }
  return buffer;
}

/** Where the central directory lies, from the end of the file. */
async function directoryOf(handle: FileHandle, file: string, size: number) {
  const tail = Math.min(size, 22 + 0xffff);
  const end = await bytesAt(handle, file, size - tail, tail);
  const at = end.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (at < 0 || at + 22 > tail) throw refuse(file, 'has no directory at its end');
  if (at >= 20 && end.readUInt32LE(at - 20) === 0x07064b50) {
    const wide = await bytesAt(handle, file, Number(end.readBigUInt64LE(at - 12)), 56);
    if (wide.readUInt32LE(0) !== 0x06064b50) throw refuse(file, 'its zip64 directory is not there');
    return { begin: Number(wide.readBigUInt64LE(48)), length: Number(wide.readBigUInt64LE(40)) };
  }
  return { begin: end.readUInt32LE(at + 16), length: end.readUInt32LE(at + 12) };
}

/** Sizes and offset of a directory entry, where need be from its zip64 field. */
function extent(file: string, entry: Buffer, name: string, extra: Buffer) {
  const wide = [24, 20, 42].map((at) => entry.readUInt32LE(at));
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let field = at + 4;
    wide.forEach((value, i) => {
      if (value !== 0xffffffff) return;
      if (field + 8 > extra.length) throw refuse(file, `${name}: its zip64 field is too short`);
      wide[i] = Number(extra.readBigUInt64LE(field));
      field += 8;
    });
  }
  const [bytes, stored, header] = wide as [number, number, number];
  if (entry.readUInt16LE(10) !== 0 || bytes !== stored)
    throw refuse(file, `${name} is compressed, which torch.save never does`);
  return { bytes, header };
}

/**
 * The entries of a zip archive whose members are stored, by name.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT naming the file and the entry
 */
export async function zipEntries(
  handle: FileHandle,
  file: string,
  size: number,
): Promise<Map<string, ZipEntry>> {
  const { begin, length } = await directoryOf(handle, file, size);
  if (length > maxDirectory || begin + length > size)
    throw refuse(file, `its directory claims ${length} bytes at ${begin} of ${size}`);
  const directory = await bytesAt(handle, file, begin, length);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at < length; ) {
    if (at + 46 > length || directory.readUInt32LE(at) !== 0x02014b50)
      throw refuse(file, `its directory breaks off at byte ${begin + at}`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) =>
      directory.readUInt16LE(at + o),
    );
    const names = at + 46;
    const name = directory.toString('utf8', names, names + nameLength!);
    const extra = directory.subarray(names + nameLength!, names + nameLength! + extraLength!);
    const { bytes, header } = extent(file, directory.subarray(at, at + 46), name, extra);
    entries.set(name, await located(handle, file, name, header, bytes, begin));
    at = names + nameLength! + extraLength! + commentLength!;
  }
  return entries;
}

async function located(
  handle: FileHandle,
  file: string,
  name: string,
  header: number,
  bytes: number,
  end: number,
): Promise<ZipEntry> {
  if (header + 30 > end) throw refuse(file, `${name} begins at ${header}, inside the directory`);
  const local = await bytesAt(handle, file, header, 30);
  if (local.readUInt32LE(0) !== 0x04034b50) throw refuse(file, `${name} is not at byte ${header}`);
  const begin = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  if (begin + bytes > end)
    throw refuse(file, `${name} claims ${bytes} bytes beyond the archive's data`);
  return { begin, bytes };
}
