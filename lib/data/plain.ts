import type { PictureCache } from './cache.js';
import { applySteps, type Normalisation, normalise, type Picture, type Step } from './steps.js';

/** How a picture is shown to a network that is judged: resized, cut to a square, normalised. */
export async function plainView(
  picture: Picture,
  size: number,
  normalisation: Normalisation,
): Promise<Float32Array> {
  return normalise(await plainPicture(picture, size), normalisation, 255);
}

/** The shorter side becomes `size`, the middle square is kept. */
export async function plainPicture(picture: Picture, size: number): Promise<Picture> {
  if (picture.width === size && picture.height === size) return picture;
  const steps: Step[] = [
    { kind: 'resize', shorterSide: size },
    { kind: 'centerCrop', side: size },
  ];
  return applySteps(picture, steps);
}

export interface PlainBatch {
  /** (rows.length, 3, size, size) */
  values: Float32Array;
  /** Rows of the data set; bad pictures are left out. */
  rows: number[];
}

/** Plain views of some rows of a data set. */
export async function plainBatch(
  cache: PictureCache,
  rows: readonly number[],
  size: number,
  normalisation: Normalisation,
): Promise<PlainBatch> {
  const views = await Promise.all(
    rows.map(async (row) => {
      const picture = await cache.load(row);
      return picture && { row, view: await plainView(picture, size, normalisation) };
    }),
  );
  const good = views.filter((view) => view !== undefined);
  const values = new Float32Array(good.length * 3 * size * size);
  good.forEach(({ view }, i) => {
    values.set(view, i * view.length);
  });
  return { values, rows: good.map(({ row }) => row) };
}
