// Data sets of fixed-size records in one file: IDX (MNIST and its kin) and CIFAR's binary form.
import { existsSync } from 'node:fs';
import { ProteaError } from '../../error.js';
import { readUnpacked } from '../bytes.js';
import type { Dataset, Sample } from '../dataset.js';
import type { Picture } from '../steps.js';

const malformed = (path: string, what: string) =>
  new ProteaError('ERR_PROTEA_DATA', `${path}: ${what}`);

interface Idx {
  dims: number[];
  values: Uint8Array;
}

/** IDX: zero, zero, type (8: bytes), rank, the dimensions as 32-bit big-endian, then the values. */
async function readIdx(path: string): Promise<Idx> {
  const bytes = await readUnpacked(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4 || view.getUint16(0) !== 0 || bytes[2] !== 8)
    throw malformed(path, 'not an IDX file of bytes');
  const rank = bytes[3]!;
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw malformed(path, 'the header is cut off');
  const dims = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = dims.reduce((a, b) => a * b, 1);
  if (bytes.length - start !== size)
    throw malformed(path, `the header promises ${size} bytes, ${bytes.length - start} are there`);
  return { dims, values: bytes.subarray(start) };
}

/** Where the labels of an images file lie, by the names everybody uses. */
const labelsBeside = (path: string) =>
  path.replace(/images([-.])idx3/, 'labels$1idx1').replace(/images(?=\.idx|$)/, 'labels');

function grey(values: Uint8Array): Uint8Array {
  const rgb = new Uint8Array(3 * values.length);
  for (let i = 0; i < values.length; i++) rgb.fill(values[i]!, 3 * i, 3 * i + 3);
  return rgb;
}

/** IDX images (count, height, width), with the labels file beside them if there is one. */
export async function openIdx(path: string): Promise<Dataset> {
  const { dims, values } = await readIdx(path);
  const [count = 0, height = 0, width = 0] = dims;
  if (dims.length !== 3 || !count || !height || !width)
    throw malformed(path, `expected images (count, height, width), got (${dims.join(', ')})`);
  const beside = labelsBeside(path);
  const labels = beside !== path && existsSync(beside) ? (await readIdx(beside)).values : undefined;
  if (labels && labels.length !== count)
    throw malformed(beside, `${labels.length} labels for ${count} images`);
  const size = height * width;
  const samples = Array.from({ length: count }, (_, i): Sample => {
    const pixels = values.subarray(i * size, (i + 1) * size);
    return {
      key: String(i),
      label: labels?.[i],
      load: async () => ({ data: grey(pixels), width, height }),
    };
  });
  return { name: path, samples, classes: [], warnings: [] };
}

const cifarSide = 32;
const cifarRecord = 1 + 3 * cifarSide * cifarSide;

/** A label byte, then 1024 red, 1024 green and 1024 blue bytes. */
function cifarPicture(planes: Uint8Array): Picture {
  const plane = cifarSide * cifarSide;
  const data = new Uint8Array(3 * plane);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < plane; i++) data[3 * i + c] = planes[c * plane + i]!;
  return { data, width: cifarSide, height: cifarSide };
}

/** CIFAR-10's binary form. */
export async function openCifar(path: string): Promise<Dataset> {
  const bytes = await readUnpacked(path);
  if (!bytes.length || bytes.length % cifarRecord)
    throw malformed(path, `${bytes.length} bytes are not whole records of ${cifarRecord}`);
  const samples = Array.from({ length: bytes.length / cifarRecord }, (_, i): Sample => {
    const record = bytes.subarray(i * cifarRecord, (i + 1) * cifarRecord);
    return {
      key: String(i),
      label: record[0]!,
      load: async () => cifarPicture(record.subarray(1)),
    };
  });
  return { name: path, samples, classes: [], warnings: [] };
}
