// The direct way to libjpeg-turbo gives what the general decoder gives, or leaves the file to it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ImplementationFn } from 'ava';
import sharp, { type JpegOptions } from 'sharp';
import { addon } from '../../lib/native.js';
import { uniforms } from '../../lib/nn/index.js';
import { sharedPath, testWith } from '../support/shared.js';

const hostile = (file: string) => readFileSync(join(sharedPath('data/hostile'), file));
const direct = (bytes: Uint8Array, maxPixels = 1e8) => addon().decodeJpeg(bytes, maxPixels);

/** A test of the direct way; skipped by name in a build without it. */
function needsJpeg(title: string, body: ImplementationFn<[]>): void {
  if (addon().hasJpeg()) test(title, body);
  else test.skip(`${title} (the addon was built without libjpeg-turbo)`, body);
}

async function general(bytes: Uint8Array): Promise<Buffer> {
  return sharp(bytes).toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer();
}

/** A picture with structure in all channels, as a JPEG. */
const encoded = (width: number, height: number, options: JpegOptions = {}) =>
  sharp(
    Uint8Array.from(
      { length: 3 * width * height },
      (_, i) => 128 + 120 * Math.sin(i * 0.7 + (i >> 7)),
    ),
    { raw: { width, height, channels: 3 } },
  ).jpeg(options);

needsJpeg('pixels equal those of the general decoder', async (t) => {
  for (const [width, height] of [
    [1, 1],
    [7, 5],
    [16, 16],
    [33, 65],
  ] as const)
    for (const chromaSubsampling of ['4:2:0', '4:4:4'])
      for (const progressive of [false, true]) {
        const bytes = await encoded(width, height, { chromaSubsampling, progressive }).toBuffer();
        const picture = await direct(bytes);
        t.deepEqual([picture?.width, picture?.height], [width, height]);
        t.deepEqual(Buffer.from(picture!.data), await general(bytes));
      }
});

needsJpeg('turned pictures and colour profiles are left to the general decoder', async (t) => {
  const with_ = (orientation: number) =>
    encoded(8, 6).withMetadata({ orientation }).keepExif().toBuffer();
  t.is(await direct(await with_(6)), null);
  t.is(await direct(await encoded(8, 6).withIccProfile('p3').toBuffer()), null);
  t.is(await direct(await encoded(8, 6).toBuffer(), 47), null, 'more pixels than allowed');
});

needsJpeg('damaged files are left to the general decoder, wherever they are hit', async (t) => {
  const whole = await encoded(40, 30).toBuffer();
  for (let length = 0; length < whole.length; length += 7)
    t.is(await direct(whole.subarray(0, length)), null);
  const draws = uniforms(0, 0, 0, 0, 4000);
  for (let i = 0; i < draws.length; i += 2) {
    const bytes = Uint8Array.from(whole);
    bytes[Math.floor(draws[i]! * bytes.length)] = Math.floor(draws[i + 1]! * 256);
    const picture = await direct(bytes, 1e6);
    if (picture) t.is(picture.data.byteLength, 3 * picture.width * picture.height);
  }
});

testWith('data/hostile', 'odd files take the way their content asks for', async (t) => {
  const takes = async (file: string) => (await direct(hostile(file))) !== null;
  t.is(await takes('progressive_444.jpg'), addon().hasJpeg());
  t.is(await takes('gray.jpg'), addon().hasJpeg());
  for (const file of ['cmyk.jpg', 'exif_orientation_6.jpg', 'truncated_half.jpg', 'png_named.jpg'])
    t.false(await takes(file), file);
});
