import { normals, uniforms } from '../nn/index.js';
import { addNoise, concatRows, gatherRows, type Tensor, tensor } from '../tensor/index.js';
import { setting } from './setting.js';

const labPurpose = 7;
/** Samples of the streams: centres, choices of clusters, and noises. */
const streams = { centres: 0, choice: 1, cluster: 2, views: 3 } as const;

/** Unit vectors, one a cluster. */
function centres(seed: number): Float32Array {
  const { clusters, inputs } = setting;
  const values = normals(seed, streams.centres, labPurpose, clusters * inputs);
  for (let c = 0; c < clusters; c++) {
    const row = values.subarray(c * inputs, (c + 1) * inputs);
    const norm = Math.hypot(...row);
    for (let i = 0; i < inputs; i++) row[i]! /= norm;
  }
  return values;
}

/** The data of the laboratory: two noisy views of samples of a mixture of clusters. */
export class Mixture {
  private readonly centres: Tensor;

  constructor(private readonly seed: number) {
    this.centres = tensor(centres(seed), [setting.clusters, setting.inputs]);
  }

  /** Both views of the samples of a step, one below the other: (2 batch, inputs). */
  views(step: number): Tensor {
    const { batch, clusters, clusterNoise, viewNoise } = setting;
    const { seed } = this;
    const choice = uniforms(seed, step, streams.choice, labPurpose, batch);
    const index = tensor(
      Int32Array.from(choice, (u) => Math.floor(u * clusters)),
      [batch],
    );
    const key = (sample: number) => ({ seed, epoch: step, sample, purpose: labPurpose });
    const samples = addNoise(gatherRows(this.centres, index), clusterNoise, key(streams.cluster));
    return addNoise(concatRows([samples, samples]), viewNoise, key(streams.views));
  }
}
