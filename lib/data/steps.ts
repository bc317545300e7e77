// Steps on pictures, by name. The values are those of Pillow (8-bit) and torchvision (float).
import { type NativePicture, nativeAsync } from '../native.js';

/** A decoded picture: RGB bytes, row by row. */
export type Picture = NativePicture;

/** A picture of floats in [0, 1], (height, width, 3). */
export interface FloatPicture {
  data: Float32Array;
  width: number;
  height: number;
}

export type Filter = 'bicubic' | 'bilinear';

/** One step and its arguments. */
export type Step =
  | {
      kind: 'resizedCrop';
      box: { top: number; left: number; height: number; width: number };
      height: number;
      width: number;
      filter?: Filter;
      antialias?: boolean;
    }
  | { kind: 'resize'; shorterSide: number; filter?: Filter }
  | { kind: 'centerCrop'; side: number }
  | { kind: 'flip' | 'grayscale' }
  | { kind: 'brightness' | 'contrast' | 'saturation' | 'hue'; factor: number }
  | { kind: 'boxBlur'; radius: number }
  | { kind: 'gaussianBlur'; size: number; sigma: number }
  | { kind: 'solarize'; threshold: number };

/** In the order of StepKind in native/image/steps.h. */
const kinds = [
  'resizedCrop',
  'resize',
  'centerCrop',
  'flip',
  'brightness',
  'contrast',
  'saturation',
  'hue',
  'grayscale',
  'boxBlur',
  'gaussianBlur',
  'solarize',
] as const satisfies Step['kind'][];

const isBicubic = (filter: Filter = 'bicubic') => Number(filter === 'bicubic');

function argumentsOf(step: Step): number[] {
  switch (step.kind) {
    case 'resizedCrop': {
      const { top, left, height, width } = step.box;
      const antialias = Number(step.antialias ?? true);
      return [top, left, height, width, step.height, step.width, isBicubic(step.filter), antialias];
    }
    case 'resize':
      return [step.shorterSide, isBicubic(step.filter)];
    case 'centerCrop':
      return [step.side];
    case 'brightness':
    case 'contrast':
    case 'saturation':
    case 'hue':
      return [step.factor];
    case 'boxBlur':
      return [step.radius];
    case 'gaussianBlur':
      return [step.size, step.sigma];
    case 'solarize':
      return [step.threshold];
    default:
      return [];
  }
}

const encoded = (steps: readonly Step[]) =>
  steps.map((step) => [kinds.indexOf(step.kind), ...argumentsOf(step)]);

/** Applies steps in whole 8-bit values, as Pillow. @throws ERR_PROTEA_SHAPE for a box outside */
export async function applySteps(picture: Picture, steps: readonly Step[]): Promise<Picture> {
  const made = await nativeAsync((addon) => addon.applySteps(picture, encoded(steps)));
  return { ...made, data: new Uint8Array(made.data) };
}

/** Applies steps to the picture's values divided by 255, as torchvision on tensors. */
export async function applyFloatSteps(
  picture: Picture,
  steps: readonly Step[],
): Promise<FloatPicture> {
  const made = await nativeAsync((addon) => addon.applyFloatSteps(picture, encoded(steps)));
  return { ...made, data: new Float32Array(made.data) };
}

/** Mean and standard deviation of each channel, of values in [0, 1]. */
export interface Normalisation {
  mean: readonly [number, number, number];
  std: readonly [number, number, number];
}

/** (v - mean) / std by channel, planes apart: (3, height, width). `unit` is the value of white. */
export function normalise(
  { data, width, height }: Picture | FloatPicture,
  { mean, std }: Normalisation,
  unit: number,
): Float32Array {
  const plane = width * height;
  const result = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++)
    for (let i = 0; i < plane; i++)
      result[c * plane + i] = (data[3 * i + c]! / unit - mean[c]!) / std[c]!;
  return result;
}
