import sharp from 'sharp';
import { ProteaError } from '../error.js';
import { nativeAsync } from '../native.js';
import type { Picture } from './steps.js';

/** Larger pictures are refused before memory is taken. */
const maxPixels = 100_000_000;

/**
 * Decodes an image file's bytes by content, not by name: JPEG, PNG, WebP, GIF (first frame), TIFF,
 * AVIF. Plain JPEG goes through libjpeg-turbo directly where the addon was built with it, everything
 * else through sharp; the pixels are the same. EXIF orientation is applied; CMYK, grey, palette and 16-bit become 8-bit RGB;
 * alpha is dropped, as Pillow's convert("RGB") does.
 * @throws ERR_PROTEA_DATA naming `name` when the bytes are damaged, no image, or too large
 */
export async function decode(bytes: Uint8Array, name: string): Promise<Picture> {
  const plain = await plainJpeg(bytes);
  if (plain) return plain;
  try {
    const { data, info } = await sharp(bytes, { limitInputPixels: maxPixels, failOn: 'warning' })
      .rotate()
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    const rgb = info.channels === 3 ? data : spread(data, info.channels);
    return { data: rgb, width: info.width, height: info.height };
  } catch (cause) {
    throw new ProteaError('ERR_PROTEA_DATA', `${name}: ${reason(cause)}`, { cause });
  }
}

/** An upright JPEG without a colour profile; undefined for anything else, damaged files included. */
async function plainJpeg(bytes: Uint8Array): Promise<Picture | undefined> {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  const found = await nativeAsync((addon) => addon.decodeJpeg(bytes, maxPixels));
  return found ? { ...found, data: new Uint8Array(found.data) } : undefined;
}

/** One value a pixel to three. */
function spread(grey: Uint8Array, channels: number): Uint8Array {
  const pixels = grey.length / channels;
  const rgb = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) rgb.fill(grey[i * channels]!, 3 * i, 3 * i + 3);
  return rgb;
}

const reason = (cause: unknown) => (cause as Error).message.split('\n')[0]!.trim();
