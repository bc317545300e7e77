import type { UniqueReport } from './unique.js';

/** What a count means, in one sentence. */
export function verdict({ total, unique }: Pick<UniqueReport, 'total' | 'unique'>): string {
  const share = (100 * unique) / total;
  const count = `${unique} of ${total} prototypes are unique (${share.toFixed(1)} %)`;
  if (share >= 95) return `${count}: no partial collapse`;
  if (share >= 60) return `${count}: some prototypes are copies of each other`;
  return `${count}: partial prototype collapse; the rest are copies of each other`;
}

/** How near to ln K the loss of a network that puts every image everywhere lies. */
const uniformMargin = 0.02;

/**
 * A plain message when the DINO loss stands at ln K: teacher and student then give every image the
 * uniform distribution, and nothing is learnt. Null when all is well.
 */
export function uniformCollapse(loss: number, prototypes: number): string | null {
  const uniform = Math.log(prototypes);
  if (Math.abs(loss - uniform) > uniformMargin * uniform) return null;
  return `the loss ${loss.toFixed(3)} stands at ln K = ${uniform.toFixed(3)}: every image is spread evenly over all ${prototypes} prototypes, and nothing is learnt yet; if it stays there, lower the teacher temperature or the learning rate`;
}
