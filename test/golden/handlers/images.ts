import {
  applyFloatSteps,
  applySteps,
  type FloatPicture,
  normalise,
  type Step,
} from '../../../lib/data/steps.js';
import type { GoldenCase, Handler } from '../case.js';

type Listed = [string, ...(number | string | boolean)[]];

/** A step as the vectors write it. */
function stepOf([name, ...a]: Listed): Step {
  const n = a as number[];
  switch (name) {
    case 'resized_crop':
      return {
        kind: 'resizedCrop',
        box: { top: n[0]!, left: n[1]!, height: n[2]!, width: n[3]! },
        height: n[4]!,
        width: n[5]!,
        filter: a[6] as 'bicubic',
        antialias: (a[7] as boolean | undefined) ?? true,
      };
    case 'resize':
      return { kind: 'resize', shorterSide: n[0]!, filter: a[1] as 'bicubic' };
    case 'center_crop':
      return { kind: 'centerCrop', side: n[0]! };
    case 'hflip':
      return { kind: 'flip' };
    case 'pil_gaussian_blur':
      return { kind: 'boxBlur', radius: n[0]! };
    case 'gaussian_blur':
      return { kind: 'gaussianBlur', size: n[0]!, sigma: n[1]! };
    case 'solarize':
      return { kind: 'solarize', threshold: n[0]! };
    case 'grayscale':
      return { kind: 'grayscale' };
    case 'brightness':
    case 'contrast':
    case 'saturation':
    case 'hue':
      return { kind: name, factor: n[0]! };
    default:
      throw new Error(`unknown step ${name}`);
  }
}

const pictureOf = (c: GoldenCase) => {
  const { values, shape } = c.input('in.image');
  return { data: values as Uint8Array, height: shape[0]!, width: shape[1]! };
};

/** Every intermediate result is checked: the first n steps give result n. */
export const pil: Handler = async (c) => {
  const { steps, mean, std } = c.params;
  const tensors: Record<string, ArrayLike<number>> = {};
  for (let n = 0; n < steps.length; n++) {
    const last = steps[n][0] === 'normalize';
    const picture = await applySteps(pictureOf(c), steps.slice(0, last ? n : n + 1).map(stepOf));
    tensors[`out.step${n}`] = last ? normalise(picture, { mean, std }, 255) : picture.data;
  }
  return { tensors };
};

const nothing = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

export const floating: Handler = async (c) => {
  const { steps, mean, std } = c.params;
  const tensors: Record<string, ArrayLike<number>> = {};
  for (let n = 0; n < steps.length; n++) {
    const last = steps[n][0] === 'normalize';
    const picture: FloatPicture = await applyFloatSteps(
      pictureOf(c),
      steps.slice(0, last ? n : n + 1).map(stepOf),
    );
    tensors[`out.step${n}`] = normalise(picture, last ? { mean, std } : nothing, 1);
  }
  return { tensors };
};
