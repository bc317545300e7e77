import {
  type KeepBranches,
  type ParameterSpec,
  type Parameters,
  under,
  VisionTransformer,
  type ViTConfig,
  vitParameters,
} from '../../nn/index.js';
import { concatRows, sliceRows, type Tensor, weightedSum } from '../../tensor/index.js';
import {
  PrototypeHead,
  type PrototypeHeadConfig,
  prototypeHeadParameters,
} from '../heads/prototype-head.js';
import { dinoLoss } from '../losses/dino.js';
import { koleoLoss } from '../regularizers/koleo.js';
import { koleoProto } from '../regularizers/koleo-proto.js';
import { type TargetKind, targetsOf } from '../targets/choice.js';
import type { Targets, TeacherRows } from '../targets/targets.js';

export interface DinoConfig {
  backbone: ViTConfig;
  head: PrototypeHeadConfig;
  studentTemperature: number;
  /** @default 'logit-centering' */
  targets?: TargetKind;
  centerMomentum: number;
  /** Weight of KoLeo-proto; 0: off. */
  koleoProto: number;
  /** Weight of KoLeo on the CLS features of each global crop, as in DINOv2; 0: off. */
  koleo: number;
}

/** Features and bottleneck vectors of some crops. */
interface Encoded {
  /** CLS tokens of each group of crops. */
  features: Tensor[];
  /** Bottleneck vectors of all groups, one below the other. */
  z: Tensor;
}

/** One network: a backbone and its head over one set of parameters. */
export class DinoNetwork {
  readonly backbone: VisionTransformer;
  readonly head: PrototypeHead;

  constructor(
    config: Pick<DinoConfig, 'backbone' | 'head'>,
    readonly parameters: Parameters,
  ) {
    this.backbone = new VisionTransformer(config.backbone, under(parameters, 'backbone.'));
    this.head = new PrototypeHead(config.head, under(parameters, 'head.'));
  }

  /** Crops of one or more sizes to features and bottleneck vectors. */
  encode(crops: readonly Tensor[], keep?: (group: number) => KeepBranches): Encoded {
    const features = crops.map((group, i) =>
      this.backbone.features(group, keep ? { keep: keep(i) } : {}),
    );
    const all = features.length > 1 ? concatRows(features) : features[0]!;
    return { features, z: this.head.bottleneck(all) };
  }
}

/** Crops of one step, view by view: rows v * images + image. */
export interface CropBatch {
  images: number;
  /** (2 images, C, H, W) */
  global: Tensor;
  globalViews: number;
  /** (local views x images, C, h, w) */
  local?: Tensor | undefined;
  localViews: number;
}

export interface DinoLosses {
  /** What is differentiated. */
  total: Tensor;
  dino: Tensor;
  koleoProto: Tensor | undefined;
  koleo: Tensor | undefined;
}

/** The parameters of a network under official names: backbone.* and head.*. */
export function dinoParameterSpecs({
  backbone,
  head,
}: Pick<DinoConfig, 'backbone' | 'head'>): ParameterSpec[] {
  const named = (prefix: string, specs: ParameterSpec[]) =>
    specs.map((spec) => ({ ...spec, name: prefix + spec.name }));
  return [
    ...named('backbone.', vitParameters(backbone)),
    ...named('head.', prototypeHeadParameters(head)),
  ];
}

/**
 * DINO (Caron et al. 2021) with KoLeo-proto: the teacher sees the global crops, the student all of
 * them, and the student's prototypes are spread.
 */
export class Dino {
  readonly student: DinoNetwork;
  readonly teacher: DinoNetwork;
  readonly targets: Targets;

  constructor(
    readonly config: DinoConfig,
    student: Parameters,
    teacher: Parameters,
    targets?: Targets,
  ) {
    this.student = new DinoNetwork(config, student);
    this.teacher = new DinoNetwork(config, teacher);
    const { targets: kind = 'logit-centering', head, centerMomentum } = config;
    this.targets = targets ?? targetsOf(kind, head.prototypes, centerMomentum);
  }

  /** The losses of a step; the targets' state moves on after they are taken. */
  losses(
    batch: CropBatch,
    teacherTemperature: number,
    keep?: (group: number) => KeepBranches,
  ): DinoLosses {
    const teacher = this.teacherRows(batch.global, teacherTemperature);
    const crops = batch.local ? [batch.global, batch.local] : [batch.global];
    const { features, z } = this.student.encode(crops, keep);
    const temperature = this.config.studentTemperature;
    const prototypes = this.student.head.prototypes();
    const bias = this.student.head.bias(prototypes, temperature);
    const dino = dinoLoss(
      { z, prototypes, bias, temperature, views: batch.globalViews + batch.localViews },
      { ...teacher, bias: this.targets.bias(teacher), views: batch.globalViews },
    );
    this.targets.update(teacher, dino);
    return this.regularised(dino, features[0]!, batch);
  }

  /** What the teacher sees in some images, before its targets are balanced. */
  teacherRows(images: Tensor, temperature: number): TeacherRows {
    const prototypes = this.teacher.head.prototypes();
    const bias = this.teacher.head.bias(prototypes, temperature);
    return { z: this.teacher.encode([images]).z, prototypes, bias, temperature };
  }

  /** Adds the regularizers to the loss. */
  private regularised(dino: Tensor, features: Tensor, batch: CropBatch): DinoLosses {
    const { koleoProto: spreadWeight, koleo: dataWeight } = this.config;
    const spread = spreadWeight > 0 ? koleoProto(this.student.head.directions) : undefined;
    const data = dataWeight > 0 ? this.featureKoleo(features, batch) : undefined;
    const terms = [dino, spread, data].filter((term) => term !== undefined);
    const weights = [1, ...(spread ? [spreadWeight] : []), ...(data ? [dataWeight] : [])];
    const total = terms.length > 1 ? weightedSum(terms, weights) : dino;
    return { total, dino, koleoProto: spread, koleo: data };
  }

  /** KoLeo within each global view, summed over the views. */
  private featureKoleo(features: Tensor, { images, globalViews }: CropBatch): Tensor {
    const views = Array.from({ length: globalViews }, (_, v) =>
      koleoLoss(sliceRows(features, v * images, (v + 1) * images)),
    );
    return weightedSum(
      views,
      views.map(() => 1),
    );
  }
}
