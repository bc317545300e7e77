import sharp from 'sharp';
import { ProteaError } from '../error.js';
import type { Picture } from './steps.js';

/** Larger pictures are refused before memory is taken. */
const maxPixels = 100_000_000;

/**
 * Decodes an image file's bytes by content, not by name: JPEG (libjpeg-turbo), PNG, WebP, GIF (first
 * frame), TIFF, AVIF. EXIF orientation is applied; CMYK, grey, palette and 16-bit become 8-bit RGB;
 * alpha is dropped, as Pillow's convert("RGB") does.
 * @throws ERR_PROTEA_DATA naming `name` when the bytes are damaged, no image, or too large
 */
export async function decode(bytes: Uint8Array, name: string): Promise<Picture> {
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

/** One value a pixel to three. */
function spread(grey: Uint8Array, channels: number): Uint8Array {
  const pixels = grey.length / channels;
  const rgb = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) rgb.fill(grey[i * channels]!, 3 * i, 3 * i + 3);
  return rgb;
}

const reason = (cause: unknown) => (cause as Error).message.split('\n')[0]!.trim();
