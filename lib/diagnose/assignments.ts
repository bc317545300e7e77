// How images are assigned to prototypes, counted image by image.

import { type MlcdReport, mlcdReport, type Spread, spreadOf } from './mlcd.js';
import type { UniqueGroups } from './unique.js';

export interface AssignmentReport extends MlcdReport {
  images: number;
  /** Entropy of one image's assignment, in nats: mean over images. */
  imageEntropy: number;
  /** Latent classes: groups of copies that some image is most likely in. */
  latentClasses: number;
  /** Images of a latent class that has some: most, mean. */
  classSize: { max: number; mean: number };
  /** Prototypes that no image is most likely in. */
  unused: number;
  /** Normalised mutual information of latent classes and labels, arithmetic mean; null: no labels. */
  nmi: number | null;
  /** How evenly images are spread over latent classes, by the most likely one. */
  hard: Spread;
}

/** An image that a group of copies takes. */
export interface Example {
  image: number;
  probability: number;
}

/** Sums assignments batch by batch. */
export class AssignmentCount {
  private readonly marginal: Float64Array;
  private readonly wins: Int32Array;
  private readonly winners: number[] = [];
  private readonly images: number[] = [];
  private readonly labels: (number | undefined)[] = [];
  private readonly best = new Map<number, Example[]>();
  /** Place of each watched group in `shares`, or -1. */
  private readonly place: Int32Array;
  private readonly shares: Float64Array;
  private entropy = 0;

  constructor(
    private readonly groups: UniqueGroups,
    /** Groups whose images are wanted even where they are no image's first. */
    private readonly watched: readonly number[] = [],
    /** Images kept for each group, the most likely. */
    private readonly kept = 6,
  ) {
    this.marginal = new Float64Array(groups.total);
    this.wins = new Int32Array(groups.total);
    this.shares = new Float64Array(watched.length);
    this.place = new Int32Array(groups.unique).fill(-1);
    watched.forEach((m, i) => {
      this.place[m] = i;
    });
  }

  /** Adds assignments (n, K), each row of sum 1, of the given images. */
  add(
    probabilities: ArrayLike<number>,
    images: readonly number[],
    labelOf: (image: number) => number | undefined,
  ): void {
    images.forEach((image, i) => {
      this.addRow(probabilities, i * this.groups.total, image, labelOf(image));
    });
  }

  private addRow(
    probabilities: ArrayLike<number>,
    at: number,
    image: number,
    label: number | undefined,
  ): void {
    let winner = 0;
    this.shares.fill(0);
    for (let k = 0; k < this.groups.total; k++) {
      const p = probabilities[at + k]!;
      this.marginal[k]! += p;
      const place = this.place[this.groups.group[k]!]!;
      if (place >= 0) this.shares[place]! += p;
      if (p > 0) this.entropy -= p * Math.log(p);
      if (p > probabilities[at + winner]!) winner = k;
    }
    this.wins[winner]! += 1;
    this.winners.push(winner);
    this.images.push(image);
    this.labels.push(label);
    const first = this.groups.group[winner]!;
    if (this.place[first]! < 0)
      this.offer(first, { image, probability: probabilities[at + winner]! });
    this.watched.forEach((m, i) => {
      this.offer(m, { image, probability: this.shares[i]! });
    });
  }

  private offer(group: number, example: Example): void {
    const list = this.best.get(group) ?? [];
    list.push(example);
    list.sort((a, b) => b.probability - a.probability || a.image - b.image);
    this.best.set(group, list.slice(0, this.kept));
  }

  /** The groups that are the first of most images, with the number of these. */
  busiest(most: number): { group: number; row: number; images: number }[] {
    const images = new Map<number, number>();
    for (const k of this.winners) {
      const m = this.groups.group[k]!;
      images.set(m, (images.get(m) ?? 0) + 1);
    }
    return [...images]
      .sort(([a, x], [b, y]) => y - x || a - b)
      .slice(0, most)
      .map(([group, count]) => ({ group, row: this.groups.rows[group]!, images: count }));
  }

  /** The images that a group takes most surely. */
  examplesOf(group: number): readonly Example[] {
    return this.best.get(group) ?? [];
  }

  /** The mean assignment (K): the MLCD. */
  get distribution(): Float64Array {
    return this.marginal.map((sum) => sum / this.winners.length);
  }

  report(): AssignmentReport {
    const { groups, wins, winners } = this;
    const classOf = winners.map((k) => groups.group[k]!);
    const sizes = new Float64Array(groups.unique);
    for (const m of classOf) sizes[m]! += 1;
    const used = sizes.filter((size) => size > 0);
    return {
      ...mlcdReport(this.distribution, groups.group, groups.unique),
      images: winners.length,
      imageEntropy: this.entropy / winners.length,
      latentClasses: used.length,
      classSize: {
        max: used.reduce((a, b) => Math.max(a, b), 0),
        mean: winners.length / used.length,
      },
      unused: wins.filter((count) => count === 0).length,
      nmi: normalizedMutualInformation(classOf, this.labels),
      hard: spreadOf(sizes),
    };
  }
}

const entropyOf = (counts: Iterable<number>, n: number) => {
  let entropy = 0;
  for (const count of counts) entropy -= (count / n) * Math.log(count / n);
  return entropy;
};

/**
 * 2 I(a; b) / (H(a) + H(b)) of two labellings of the same images; 1 when both are constant, null when
 * a label is missing.
 */
export function normalizedMutualInformation(
  a: readonly number[],
  b: readonly (number | undefined)[],
): number | null {
  if (!a.length || b.some((label) => label === undefined)) return null;
  const [left, right, both] = [new Map(), new Map(), new Map()] as Map<number | string, number>[];
  const count = (map: Map<number | string, number>, key: number | string) =>
    map.set(key, (map.get(key) ?? 0) + 1);
  a.forEach((x, i) => {
    count(left!, x);
    count(right!, b[i]!);
    count(both!, `${x} ${b[i]}`);
  });
  const [ha, hb, hab] = [left!, right!, both!].map((map) => entropyOf(map.values(), a.length));
  return ha! + hb! === 0 ? 1 : (2 * (ha! + hb! - hab!)) / (ha! + hb!);
}
