import sharp from 'sharp';
import { pack } from 'tar-stream';

/** A small picture of one colour. */
export const png = (r: number) =>
  sharp({ create: { width: 4, height: 3, channels: 3, background: { r, g: 0, b: 0 } } })
    .png()
    .toBuffer();

/** The bytes of a tar archive of these entries. */
export async function tarOf(entries: Record<string, Buffer | string>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(entries)) tar.entry({ name }, content);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
