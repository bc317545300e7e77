import { type MethodName, methodNames } from '../../ssl/index.js';
import type { TrainConfig } from '../config.js';
import { changesOf, methodPresets } from './methods.js';
import { type Changes, changed, type SizeName, sizes } from './sizes.js';

/** Where a preset's settings are from, and where they differ. */
export interface PresetNotes {
  source: string;
  departures: string[];
}

interface Variant {
  changes: Changes;
  notes: string[];
}

const koleoProto: Variant = {
  changes: { loss: { koleoProto: 0.1 } },
  notes: [
    "KoLeo-proto (Govindarajan et al. 2024, eq. 8) with the weight of DINOv2's KoLeo, 0.1: its own is a setting to be swept",
  ],
};

const mixture: Variant = {
  changes: { head: { learning: 'mixture' }, loss: { koleoProto: 0 } },
  notes: [
    "prototypes are the means of an online mixture (arXiv 2510.20108) under the method's own loss and targets instead of CARP's",
    'forgetting and annealing of the mixture are choices: the text at hand does not give them',
    'the mixture moves after the step that used it, not before',
  ],
};

/** The suffixes of preset names. */
const variants = {
  '': { changes: {}, notes: [] },
  '-kp': koleoProto,
  '-gmm': mixture,
} as const satisfies Record<string, Variant>;

type VariantName = keyof typeof variants;

function configOf(method: MethodName, variant: VariantName, size: SizeName): TrainConfig {
  const base = sizes[size].config;
  const steps = [...changesOf(method, size, base), variants[variant].changes];
  return steps.reduce(changed, base);
}

function notesOf(method: MethodName, variant: VariantName, size: SizeName): PresetNotes {
  const { source, departures, tinyDepartures = [] } = methodPresets[method];
  const ofSize =
    size === 'tiny' ? [...sizes.tiny.departures, ...tinyDepartures] : sizes[size].departures;
  return { source, departures: [...departures, ...ofSize, ...variants[variant].notes] };
}

/** CAPI's prototypes are decoupled already. */
const exists = (method: MethodName, variant: VariantName) =>
  method !== 'capi' || variant !== '-gmm';

/** The default first: DINO with KoLeo-proto on small images. */
const order: VariantName[] = ['-kp', '', '-gmm'];

const all = Object.keys(sizes).flatMap((size) =>
  methodNames.flatMap((method) =>
    order
      .filter((variant) => exists(method, variant))
      .map((variant) => ({ method, variant, size: size as SizeName })),
  ),
);

const named = <Value>(of: (m: MethodName, v: VariantName, s: SizeName) => Value) =>
  Object.fromEntries(
    all.map(({ method, variant, size }) => [
      `${method}${variant}-${size}`,
      of(method, variant, size),
    ]),
  );

/** Starting points by name, METHOD[-kp|-gmm]-SIZE; the first is the default. */
export const presets: Readonly<Record<string, TrainConfig>> = named(configOf);

/** Source and departures of each preset. */
export const presetNotes: Readonly<Record<string, PresetNotes>> = named(notesOf);
