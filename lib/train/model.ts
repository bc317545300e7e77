import { ProteaError } from '../error.js';
import type { FeatureOptions } from '../eval/index.js';
import { initialise, type Parameters, vitConfig } from '../nn/index.js';
import { Method, type MethodConfig, methodParameters, recipes } from '../ssl/index.js';
import { assign } from '../tensor/index.js';
import type { Checkpoint } from './checkpoint.js';
import type { LastingConfig } from './config.js';
import { clusteredParameters } from './optimiser.js';

/** The method's own config, from a run's. */
export function methodConfigOf(config: LastingConfig): MethodConfig {
  const { method, model, head, loss, crops, mixture, seed } = config;
  const { size, predictorDepth, ...options } = model;
  const maskToken = recipes[method].masks && predictorDepth === 0;
  const backbone = vitConfig(size, { imageSize: crops.globalSize, maskToken, ...options });
  const { patches, patchPrototypes, learning, ...own } = head;
  return {
    method,
    backbone,
    head: { ...own, inDim: backbone.dim, bias: true },
    patchHead: recipes[method].masks ? patches : 'shared',
    patchPrototypes: patchPrototypes ?? undefined,
    predictorDepth,
    learning,
    mixture: { ...mixture, seed },
    studentTemperature: loss.studentTemperature,
    targets: loss.targets,
    centerMomentum: loss.centerMomentum,
    weights: { cls: loss.cls, patch: loss.patch },
    regularizers: loss,
  };
}

/** What a run's images are judged by: CLS, or the mean patch where the method trains patches alone. */
export const featureOptions = ({ crops, data, method }: LastingConfig): FeatureOptions => ({
  size: crops.globalSize,
  normalisation: data,
  pool: recipes[method].main.tokens === 'cls' ? 'cls' : 'patches',
});

/** A method with what its optimiser goes on with. */
export interface MethodState {
  method: Method;
  moments: Parameters | undefined;
  optimiserSteps: Record<string, number>;
}

/** A fresh method: the teacher starts as the student, but for prototypes of its own. */
export function freshMethod(config: LastingConfig): MethodState {
  const method = methodConfigOf(config);
  const specs = methodParameters(method);
  const student = initialise(specs.student, config.seed);
  const teacher = initialise(specs.teacher, config.seed);
  return { method: new Method(method, student, teacher), moments: undefined, optimiserSteps: {} };
}

type Shapes = ReadonlyMap<string, readonly number[]>;

const shapesOf = (tensors: ReadonlyMap<string, { shape: readonly number[] }>): Shapes =>
  new Map([...tensors].map(([name, { shape }]) => [name, shape]));

/**
 * The method as a checkpoint left it.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT when a tensor is missing or has another shape
 */
export function restoredMethod(config: LastingConfig, checkpoint: Checkpoint): MethodState {
  const own = methodConfigOf(config);
  const specs = methodParameters(own);
  const take = (prefix: string, expected: Shapes) => taken(checkpoint, prefix, expected);
  const shapes = (list: typeof specs.student) =>
    new Map(list.map(({ name, shape }) => [name, shape]));
  const student = take('student.', shapes(specs.student));
  const method = new Method(own, student, take('teacher.', shapes(specs.teacher)));
  const learnt = new Map([...shapes(specs.student), ...shapesOf(clusteredParameters(method))]);
  const moments = ['exp_avg.', 'exp_avg_sq.'].flatMap((kind) =>
    [...learnt].map(([name, shape]) => [kind + name, shape] as const),
  );
  for (const [name, value] of take('', shapesOf(method.state)))
    assign(method.state.get(name)!, value);
  return {
    method,
    moments: take('optimiser.', new Map(moments)),
    optimiserSteps: checkpoint.meta.optimiserSteps,
  };
}

/** The tensors below `prefix`, each of the expected shape. */
function taken({ path, tensors }: Checkpoint, prefix: string, expected: Shapes): Parameters {
  const result: Parameters = new Map();
  for (const [name, shape] of expected) {
    const found = tensors.get(prefix + name);
    if (!found || String(found.shape) !== String(shape)) {
      const got = found ? `(${found.shape.join(', ')})` : 'nothing';
      throw new ProteaError(
        'ERR_PROTEA_CHECKPOINT_FORMAT',
        `${path}: expected ${prefix}${name} of shape (${shape.join(', ')}), found ${got}`,
        { hint: 'The checkpoint belongs to another config.' },
      );
    }
    result.set(name, found);
  }
  return result;
}
