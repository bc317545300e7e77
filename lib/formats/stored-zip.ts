// The zip archives that torch.save writes: entries stored as they are, sizes beyond 4 GB in zip64.
import type { FileHandle } from 'node:fs/promises';
import { bytesAt, damaged } from './read-at.js';

export interface ZipEntry {
  /** Where its bytes begin in the file. */
  begin: number;
  bytes: number;
  /** CRC-32 of its bytes; 0 where the writer left it out. */
  crc: number;
}

const maxDirectory = 1 << 26;
const maxEntries = 1 << 20;
const endBytes = 22;

const refuse = (file: string, what: string) =>
  damaged(file, what, 'The archive is damaged or cut short, or was not written by torch.save.');

/** Exact, or refused: beyond 2^53 there is no file. */
function size64(file: string, buffer: Buffer, at: number): number {
  const value = buffer.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(file, `claims ${value} bytes`);
  return Number(value);
}

interface Directory {
  begin: number;
  length: number;
  count: number;
}

/** Where the central directory lies, from the end of the file. Nothing may follow the end record. */
async function directoryOf(handle: FileHandle, file: string, size: number): Promise<Directory> {
  const tail = Math.min(size, endBytes + 0xffff);
  const end = await bytesAt(handle, file, size - tail, tail, size);
  const at = end.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  if (at < 0 || at + endBytes > tail) throw refuse(file, 'has no directory at its end');
  if (at + endBytes + end.readUInt16LE(at + 20) !== tail)
    throw refuse(file, `has bytes behind its end record at ${size - tail + at}`);
  if (end.readUInt16LE(at + 4) !== 0) throw refuse(file, 'is one part of several');
  if (at < 20 || end.readUInt32LE(at - 20) !== 0x07064b50)
    return {
      begin: end.readUInt32LE(at + 16),
      length: end.readUInt32LE(at + 12),
      count: end.readUInt16LE(at + 10),
    };
  const wide = await bytesAt(handle, file, size64(file, end, at - 12), 56, size);
  if (wide.readUInt32LE(0) !== 0x06064b50) throw refuse(file, 'its zip64 directory is not there');
  return {
    begin: size64(file, wide, 48),
    length: size64(file, wide, 40),
    count: size64(file, wide, 32),
  };
}

/** Sizes and offset of a directory entry, where need be from its zip64 field. */
function extent(file: string, entry: Buffer, name: string, extra: Buffer) {
  const wide = [24, 20, 42].map((at) => entry.readUInt32LE(at));
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue;
    let field = at + 4;
    const last = Math.min(extra.length, field + extra.readUInt16LE(at + 2));
    wide.forEach((value, i) => {
      if (value !== 0xffffffff) return;
      if (field + 8 > last) throw refuse(file, `${name}: its zip64 field is too short`);
      wide[i] = size64(file, extra, field);
      field += 8;
    });
  }
  const [bytes, stored, header] = wide as [number, number, number];
  if (entry.readUInt16LE(8) & 1) throw refuse(file, `${name} is encrypted`);
  if (entry.readUInt16LE(10) !== 0 || bytes !== stored)
    throw refuse(file, `${name} is compressed, which torch.save never does`);
  return { bytes, header, crc: entry.readUInt32LE(16) };
}

/** Names that lead out of a folder, or mean two things. */
function checkName(file: string, name: string, known: ReadonlyMap<string, unknown>): void {
  const parts = name.split('/');
  const strange = name.includes('\0') || name.includes('\\') || /^[A-Za-z]:/.test(name);
  if (!name || strange || parts[0] === '' || parts.includes('..'))
    throw refuse(file, `has an entry with the name ${JSON.stringify(name)}`);
  if (known.has(name)) throw refuse(file, `has two entries with the name ${JSON.stringify(name)}`);
}

/**
 * The entries of a zip archive whose members are stored, by name.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT naming the file and the entry: compressed, encrypted, twice the
 * same name, a name that leads elsewhere, bytes that two entries share
 */
export async function zipEntries(
  handle: FileHandle,
  file: string,
  size: number,
): Promise<Map<string, ZipEntry>> {
  const { begin, length, count } = await directoryOf(handle, file, size);
  if (length > maxDirectory || count > maxEntries || begin + length > size)
    throw refuse(file, `its directory claims ${length} bytes at ${begin} of ${size}`);
  const directory = await bytesAt(handle, file, begin, length, size);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at < length; ) {
    if (at + 46 > length || directory.readUInt32LE(at) !== 0x02014b50)
      throw refuse(file, `its directory breaks off at byte ${begin + at}`);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) =>
      directory.readUInt16LE(at + o),
    ) as [number, number, number];
    const names = at + 46;
    const name = directory.toString('utf8', names, names + nameLength);
    const extra = directory.subarray(names + nameLength, names + nameLength + extraLength);
    checkName(file, name, entries);
    const found = extent(file, directory.subarray(at, at + 46), name, extra);
    entries.set(name, await located(handle, file, name, found, begin));
    at = names + nameLength + extraLength + commentLength;
  }
  if (entries.size !== count)
    throw refuse(file, `its directory names ${entries.size} entries, not ${count}`);
  checkOverlaps(file, entries);
  return entries;
}

async function located(
  handle: FileHandle,
  file: string,
  name: string,
  { header, bytes, crc }: { header: number; bytes: number; crc: number },
  end: number,
): Promise<ZipEntry> {
  if (header + 30 > end) throw refuse(file, `${name} begins at ${header}, inside the directory`);
  const local = await bytesAt(handle, file, header, 30, end);
  if (local.readUInt32LE(0) !== 0x04034b50) throw refuse(file, `${name} is not at byte ${header}`);
  const nameLength = local.readUInt16LE(26);
  const begin = header + 30 + nameLength + local.readUInt16LE(28);
  if (begin + bytes > end)
    throw refuse(file, `${name} claims ${bytes} bytes beyond the archive's data`);
  const repeated = (await bytesAt(handle, file, header + 30, nameLength, end)).toString('utf8');
  if (repeated !== name)
    throw refuse(file, `${name} is called ${JSON.stringify(repeated)} at byte ${header}`);
  return { begin, bytes, crc };
}

function checkOverlaps(file: string, entries: ReadonlyMap<string, ZipEntry>): void {
  const byPlace = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.bytes - b.bytes);
  let end = 0;
  for (const [name, { begin, bytes }] of byPlace) {
    if (begin < end) throw refuse(file, `${name} shares bytes from ${begin} on with another entry`);
    end = begin + bytes;
  }
}
