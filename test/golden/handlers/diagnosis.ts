import { groupsOf, mergeCopies, spreadOf } from '../../../lib/diagnose/index.js';
import { knnClasses } from '../../../lib/eval/index.js';
import { meanRows, tensor, uniquePrototypes } from '../../../lib/tensor/index.js';
import type { GoldenCase, Handler } from '../case.js';

const placed = (c: GoldenCase, name: string) => {
  const { values, shape } = c.input(name);
  return tensor(values, shape);
};

const named = (prefix: string, distribution: ArrayLike<number>) => {
  const { entropy, normalized, perplexity, klToUniform } = spreadOf(distribution);
  return {
    [`${prefix}_entropy`]: entropy,
    [`${prefix}_entropy_normalized`]: normalized,
    [`${prefix}_perplexity`]: perplexity,
    [`${prefix}_kl_to_uniform`]: klToUniform,
  };
};

export const collapse: Handler = async (c) => {
  const epsilons: number[] = c.params.eps;
  const prototypes = placed(c, 'in.prototypes');
  const K = prototypes.shape[0]!;
  const greedy = await uniquePrototypes(prototypes, epsilons).read();
  const joined = await uniquePrototypes(prototypes, epsilons, 'components').read();
  const mlcd = await meanRows(placed(c, 'in.probs')).read();
  const tensors: Record<string, ArrayLike<number>> = { 'out.mlcd': mlcd };
  const byEps = epsilons.map((eps, e) => {
    const groups = groupsOf(greedy.slice(e * K, (e + 1) * K), eps, 'greedy');
    const components = groupsOf(joined.slice(e * K, (e + 1) * K), eps, 'components');
    const merged = mergeCopies(mlcd, groups.group, groups.unique);
    Object.assign(tensors, {
      [`out.greedy_group.${e}`]: groups.group,
      [`out.greedy_unique.${e}`]: groups.rows,
      [`out.greedy_redundancy.${e}`]: groups.sizes,
      [`out.component_label.${e}`]: components.group,
      [`out.mlcd_unique.${e}`]: merged,
    });
    return {
      eps,
      greedy_unique_count: groups.unique,
      greedy_max_redundancy: groups.redundancy.max,
      greedy_mean_redundancy: groups.redundancy.mean,
      components_count: components.unique,
      components_max_size: components.redundancy.max,
      ...named('mlcd_unique', merged),
    };
  });
  return { tensors, expected: { ...named('mlcd', mlcd), by_eps: byEps } };
};

export const knn: Handler = async (c) => {
  const { ks, T: temperature } = c.params;
  const train = { features: placed(c, 'in.train'), labels: c.input('in.train_label').values };
  const [test, labels] = [placed(c, 'in.test'), c.input('in.test_label').values];
  const tensors: Record<string, ArrayLike<number>> = {};
  const byK = [];
  for (const k of ks) {
    const { classes, voted } = await knnClasses(train, test, {
      k,
      temperature,
      classes: c.params.classes,
    });
    tensors[`out.top5.${k}`] = classes.flat();
    const share = (hit: (row: number[], i: number) => boolean) =>
      (100 * classes.filter(hit).length) / classes.length;
    byK.push({
      k,
      top1: share((row, i) => row[0] === labels[i]),
      top5: share((row, i) => row.includes(labels[i]!)),
      top5_counting_only_classes_with_votes: share((row, i) =>
        row.slice(0, voted[i]).includes(labels[i]!),
      ),
    });
  }
  return { tensors, expected: { by_k: byK } };
};
