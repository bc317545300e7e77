import type { UniqueReport } from './unique.js';

/** The answer in one sentence: how many prototypes are distinct, and what that means. */
export function verdict({
  total,
  unique,
  epsilon,
  redundancy,
}: Pick<UniqueReport, 'total' | 'unique' | 'epsilon' | 'redundancy'>): string {
  const share = unique / total;
  if (unique === total)
    return `all ${total} prototypes are distinct at ${epsilon}: no partial collapse`;
  const count = `${unique} of ${total} prototypes are distinct at ${epsilon}; the largest group holds ${redundancy.max} copies`;
  if (share >= 0.95) return `${count}: no partial collapse`;
  if (share >= 0.6) return `${count}: some prototypes are copies of each other`;
  return `${count}: partial prototype collapse`;
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
