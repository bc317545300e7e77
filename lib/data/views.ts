import { checkInteger, checkNumber, invalid } from '../error.js';

/** One kind of crop and what is done to it; probabilities in [0, 1]. */
export interface ViewRecipe {
  /** Side of the crop in pixels. */
  size: number;
  /** Share of the picture's area. */
  scale: readonly [number, number];
  /** Width over height. @default [3/4, 4/3] */
  ratio: readonly [number, number];
  flip: number;
  /** Probability of the four changes of colour together, in random order. */
  jitter: number;
  brightness: number;
  contrast: number;
  saturation: number;
  hue: number;
  grayscale: number;
  blur: number;
  /** Radius of the blur in pixels. */
  blurRadius: readonly [number, number];
  solarize: number;
}

const common = {
  ratio: [3 / 4, 4 / 3],
  flip: 0.5,
  jitter: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.2,
  hue: 0.1,
  grayscale: 0.2,
  blurRadius: [0.1, 2],
  solarize: 0,
} as const;

export interface MultiCropOptions {
  /** One or two. @default 2 */
  globalCrops?: number;
  globalSize: number;
  globalScale: readonly [number, number];
  localCrops: number;
  localSize: number;
  localScale: readonly [number, number];
  /** Multiplies the strengths of the colour changes; 0: none, no grey, no solarisation. @default 1 */
  colour: number;
  /** Probability of blur: first global, second global, locals. @default [1, 0.1, 0.5] */
  blur: readonly [number, number, number];
  /** Probability of solarisation of the second global crop. @default 0.2 */
  solarize?: number;
  /** Probability of a horizontal flip. @default 0.5 */
  flip: number;
}

/** The recipes of DINO (Caron et al. 2021): the global crops, then the local ones. */
export function multiCrop(options: MultiCropOptions): ViewRecipe[] {
  checkOptions(options);
  const { colour, flip, globalCrops = 2, solarize = 0.2 } = options;
  const base = {
    ...common,
    flip,
    jitter: colour > 0 ? common.jitter : 0,
    brightness: common.brightness * colour,
    contrast: common.contrast * colour,
    saturation: common.saturation * colour,
    hue: Math.min(0.5, common.hue * colour),
    grayscale: colour > 0 ? common.grayscale : 0,
  };
  const global = { ...base, size: options.globalSize, scale: options.globalScale };
  const local = { ...base, size: options.localSize, scale: options.localScale };
  const globals = [
    { ...global, blur: options.blur[0] },
    { ...global, blur: options.blur[1], solarize: colour > 0 ? solarize : 0 },
  ];
  return [
    ...globals.slice(0, globalCrops),
    ...Array.from({ length: options.localCrops }, () => ({ ...local, blur: options.blur[2] })),
  ];
}

function checkOptions(options: MultiCropOptions): void {
  checkInteger('globalSize', options.globalSize, 1);
  checkInteger('localSize', options.localSize, 1);
  checkInteger('localCrops', options.localCrops, 0, 64);
  checkInteger('globalCrops', options.globalCrops ?? 2, 1, 2);
  checkNumber('solarize', options.solarize ?? 0, 0, 1);
  checkNumber('colour', options.colour, 0, 2);
  for (const name of ['globalScale', 'localScale'] as const) {
    const [low, high] = options[name];
    if (!(low > 0 && low <= high && high <= 1))
      throw invalid(name, 'two shares of the area, 0 < low <= high <= 1', options[name]);
  }
}

/** In the order of ViewRecipe in native/image/augment.h. */
export const encodeRecipe = (r: ViewRecipe): number[] => [
  r.size,
  ...r.scale,
  ...r.ratio,
  r.flip,
  r.jitter,
  r.brightness,
  r.contrast,
  r.saturation,
  r.hue,
  r.grayscale,
  r.blur,
  ...r.blurRadius,
  r.solarize,
];
