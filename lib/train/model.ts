import { ProteaError } from '../error.js';
import { initialise, type Parameters, vitConfig } from '../nn/index.js';
import { Dino, type DinoConfig, dinoParameterSpecs } from '../ssl/index.js';
import { emaUpdate } from '../tensor/index.js';
import type { Checkpoint } from './checkpoint.js';
import type { LastingConfig } from './config.js';

/** The method's own config, from a run's. */
export function dinoConfigOf({ model, head, loss, crops }: LastingConfig): DinoConfig {
  const { size, ...options } = model;
  const backbone = vitConfig(size, { imageSize: crops.globalSize, ...options });
  return {
    backbone,
    head: { ...head, inDim: backbone.dim, bias: true },
    studentTemperature: loss.studentTemperature,
    targets: loss.targets,
    centerMomentum: loss.centerMomentum,
    koleoProto: loss.koleoProto,
    koleo: loss.koleo,
  };
}

/** A method with what its optimiser goes on with. */
export interface MethodState {
  method: Dino;
  moments: Parameters | undefined;
  optimiserSteps: Record<string, number>;
}

/** A fresh method: the teacher starts as the student. */
export function freshMethod(config: LastingConfig): MethodState {
  const method = dinoConfigOf(config);
  const specs = dinoParameterSpecs(method);
  const [student, teacher] = [initialise(specs, config.seed), initialise(specs, config.seed)];
  return { method: new Dino(method, student, teacher), moments: undefined, optimiserSteps: {} };
}

/**
 * The method as a checkpoint left it.
 * @throws ERR_PROTEA_CHECKPOINT_FORMAT when a tensor is missing or has another shape
 */
export function restoredMethod(config: LastingConfig, checkpoint: Checkpoint): MethodState {
  const method = dinoConfigOf(config);
  const shapes = new Map(dinoParameterSpecs(method).map(({ name, shape }) => [name, shape]));
  const take = (prefix: string, expected: ReadonlyMap<string, readonly number[]>) =>
    taken(checkpoint, prefix, expected);
  const moments = ['exp_avg.', 'exp_avg_sq.'].flatMap((kind) =>
    [...shapes].map(([name, shape]) => [kind + name, shape] as const),
  );
  const student = take('student.', shapes);
  const restored = new Dino(method, student, take('teacher.', shapes));
  const lasting = [...restored.targets.state].map(([name, { shape }]) => [name, shape] as const);
  for (const [name, value] of take('', new Map(lasting)))
    emaUpdate(restored.targets.state.get(name)!, value, 0);
  return {
    method: restored,
    moments: take('optimiser.', new Map(moments)),
    optimiserSteps: checkpoint.meta.optimiserSteps,
  };
}

/** The tensors below `prefix`, each of the expected shape. */
function taken(
  { path, tensors }: Checkpoint,
  prefix: string,
  expected: ReadonlyMap<string, readonly number[]>,
): Parameters {
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
