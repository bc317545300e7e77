import { ProteaError } from '../error.js';
import type { ParameterSpec, Parameters } from '../nn/index.js';
import { concatRows, identity, type Tensor, unrecorded, weightedSum } from '../tensor/index.js';
import type { CropBatch, StepValues } from './crop-batch.js';
import { type MethodName, recipes } from './methods/index.js';
import {
  type HeadName,
  headNames,
  Network,
  type NetworkConfig,
  networkParameters,
  prototypesOf,
} from './network.js';
import { clusteringLoss, type PrototypeLearning } from './prototypes/learning.js';
import { type MixtureOptions, MixturePrototypes } from './prototypes/mixture.js';
import type { Recipe, Terms } from './recipe.js';
import { type RegularizerWeights, regularizers } from './regularizers/regularizers.js';
import { MethodStep, type StepMethod } from './step.js';
import { type TargetKind, targetsOf } from './targets/choice.js';
import type { Targets, TeacherRows } from './targets/targets.js';

export interface MethodConfig extends NetworkConfig {
  /** @default 'dino' */
  method?: MethodName;
  studentTemperature: number;
  /** @default 'logit-centering' */
  targets?: TargetKind;
  centerMomentum: number;
  /** Weights of the method's own terms. @default 1 each */
  weights?: { cls?: number; patch?: number };
  regularizers: RegularizerWeights;
  /** What moves the prototypes. @default 'gradient' */
  learning?: PrototypeLearning;
  /** Needed where the prototypes are a mixture's means. */
  mixture?: MixtureOptions & { seed: number };
}

export interface MethodLosses {
  /** What is differentiated: the weighted sum of the parts. */
  total: Tensor;
  /** Each part before its weight, by name. */
  parts: Record<string, Tensor>;
}

/** The teacher's network: as the student's, but without a predictor, and for prototypes that it learns itself. */
function teacherConfig(student: MethodConfig): NetworkConfig {
  const config = { ...student, predictorDepth: 0 };
  if (config.learning !== 'clustering') return studentConfig(config);
  const own = { layer: 'linear', logitBias: true, std: 1, vmf: false } as const;
  return { ...config, head: { ...config.head, ...own } };
}

function studentConfig(config: MethodConfig): NetworkConfig {
  return { ...config, head: { ...config.head, givenDirections: config.learning === 'mixture' } };
}

/** The parameters of both networks, under official names. */
export const methodParameters = (
  config: MethodConfig,
): { student: ParameterSpec[]; teacher: ParameterSpec[] } => ({
  student: networkParameters(studentConfig(config)),
  teacher: networkParameters(teacherConfig(config)),
});

/** Whether a parameter belongs to the prototypes: what freezing the last layer holds still. */
export const isPrototypes = (name: string): boolean => /last_layer|(^|\.)prototypes$/.test(name);

/**
 * Self-distillation by a recipe: a student that learns from gradient, a teacher that follows it, the
 * targets' state, and prototypes that may learn in other ways.
 */
export class Method implements StepMethod {
  readonly recipe: Recipe;
  readonly student: Network;
  readonly teacher: Network;
  /** How the teacher's tokens become targets. */
  readonly targets: ReadonlyMap<HeadName, Targets>;
  /** Of the heads whose prototypes are a mixture's means. */
  readonly mixtures: ReadonlyMap<HeadName, MixturePrototypes>;

  /** The teacher's parameters are linked to the student's where they share them. */
  constructor(
    readonly config: MethodConfig,
    student: Parameters,
    teacher: Parameters,
  ) {
    this.recipe = recipes[config.method ?? 'dino'];
    this.mixtures = mixturesOf(config);
    const given = Object.fromEntries([...this.mixtures].map(([name, m]) => [name, m.means]));
    for (const name of this.sharedNames(student)) teacher.set(name, student.get(name)!);
    this.student = new Network(studentConfig(config), student, given);
    this.teacher = new Network(teacherConfig(config), teacher, given);
    const { targets: kind = 'logit-centering', centerMomentum } = config;
    const tokens: HeadName[] = this.recipe.masks ? ['cls', 'patch'] : ['cls'];
    this.targets = new Map(
      tokens.map((name) => [
        name,
        targetsOf(kind, prototypesOf(config, this.prototypesHead(name)), centerMomentum),
      ]),
    );
  }

  /** The head whose prototypes tokens of that kind meet. */
  prototypesHead(tokens: HeadName): HeadName {
    return this.config.patchHead === 'shared' || !this.config.patchHead ? 'cls' : tokens;
  }

  /** The heads that have prototypes of their own. */
  get heads(): HeadName[] {
    return this.recipe.masks ? headNames(this.config) : ['cls'];
  }

  private sharedNames(student: Parameters): string[] {
    if (this.config.head.layer !== 'shared') return [];
    return [...student.keys()].filter((name) => /(^|\.)prototypes$/.test(name));
  }

  /** The teacher's parameters that follow the student's by EMA. */
  get followers(): Parameters {
    const own = new Set([...this.sharedNames(this.student.parameters), ...this.clustered.keys()]);
    return new Map([...this.teacher.parameters].filter(([name]) => !own.has(name)));
  }

  /** The teacher's parameters that learn from the clustering loss. */
  get clustered(): Parameters {
    if (this.config.learning !== 'clustering') return new Map();
    return new Map([...this.teacher.parameters].filter(([name]) => isPrototypes(name)));
  }

  /** What lasts from step to step besides parameters, by name; checkpoints keep it. */
  get state(): ReadonlyMap<string, Tensor> {
    const state = new Map<string, Tensor>();
    for (const [tokens, targets] of this.targets)
      for (const [name, value] of targets.state)
        state.set(tokens === 'cls' ? name : `patch_${name}`, value);
    for (const [head, mixture] of this.mixtures)
      for (const [name, value] of mixture.state)
        state.set(`${head === 'cls' ? 'mixture' : 'patch_mixture'}.${name}`, value);
    return state;
  }

  /**
   * The losses of a step; the state moves on after they are taken.
   * @throws ERR_PROTEA_CONFIG when the batch lacks what the recipe needs
   */
  losses(batch: CropBatch, values: StepValues): MethodLosses {
    this.checkBatch(batch);
    const step = new MethodStep(this, batch, values);
    const own = this.recipe.losses(step);
    const terms: Terms = { ...own, ...regularizers(step, this.config.regularizers) };
    if (this.config.learning === 'clustering' && step.taught.length)
      terms.clustering = { loss: clusteringLoss(step), weight: 1 };
    const losses = weighed(terms);
    this.learnMixtures(step);
    step.finish(losses.total);
    return losses;
  }

  private checkBatch({ globalViews, mask }: CropBatch): void {
    const { globalCrops, masks } = this.recipe;
    if (globalViews === globalCrops && Boolean(mask) === masks) return;
    const wanted = `${globalCrops} global views ${masks ? 'with' : 'without'} a mask`;
    throw new ProteaError(
      'ERR_PROTEA_CONFIG',
      `${this.config.method ?? 'dino'} needs ${wanted}, got ${globalViews}${mask ? ' with one' : ''}`,
    );
  }

  private learnMixtures(step: MethodStep): void {
    for (const [head, mixture] of this.mixtures) {
      const rows = step.taught.filter((t) => t.head === head).map((t) => t.rows.z);
      if (!rows.length) continue;
      step.after((guard) =>
        mixture.update(
          rows.length > 1 ? concatRows(rows) : rows[0]!,
          step.values.annealing ?? 1,
          guard,
        ),
      );
    }
  }

  /** The teacher's prototypes at a temperature. Copies: what learns by itself must not be tracked here. */
  teacherSide(tokens: HeadName, temperature: number): Omit<TeacherRows, 'z'> {
    return unrecorded(() => {
      const head = this.teacher.headOf(tokens);
      const made = head.prototypes();
      const prototypes = this.config.learning === 'clustering' ? identity(made) : made;
      return { prototypes, bias: head.bias(prototypes, temperature), temperature };
    });
  }
}

function mixturesOf(config: MethodConfig): Map<HeadName, MixturePrototypes> {
  const { learning, mixture, head } = config;
  if (learning !== 'mixture') return new Map();
  if (!mixture)
    throw new ProteaError('ERR_PROTEA_CONFIG', 'Prototypes of a mixture need its options', {
      hint: 'Give config.mixture.',
    });
  return new Map(
    headNames(config).map((name, stream) => [
      name,
      MixturePrototypes.fresh(
        prototypesOf(config, name),
        head.bottleneckDim,
        mixture.seed,
        stream,
        mixture,
      ),
    ]),
  );
}

/** The weighted sum of the terms that are there. */
function weighed(terms: Terms): MethodLosses {
  const found = Object.entries(terms).flatMap(([name, term]) => (term ? [{ name, ...term }] : []));
  const losses = found.map(({ loss }) => loss);
  const weights = found.map(({ weight }) => weight);
  const total = losses.length === 1 && weights[0] === 1 ? losses[0]! : weightedSum(losses, weights);
  return { total, parts: Object.fromEntries(found.map(({ name, loss }) => [name, loss])) };
}
