import {
  type KeepBranches,
  type ParameterSpec,
  type Parameters,
  under,
  VisionTransformer,
  type ViTConfig,
  vitParameters,
} from '../../nn/index.js';
import { concatRows, sliceRows, type Tensor, weightedSum, zeros } from '../../tensor/index.js';
import {
  PrototypeHead,
  type PrototypeHeadConfig,
  prototypeHeadParameters,
} from '../heads/prototype-head.js';
import { dinoLoss } from '../losses/dino.js';
import { koleoLoss } from '../regularizers/koleo.js';
import { koleoProto } from '../regularizers/koleo-proto.js';
import { LogitCentering } from '../targets/logit-centering.js';

export interface DinoConfig {
  backbone: ViTConfig;
  head: PrototypeHeadConfig;
  studentTemperature: number;
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
  readonly centering: LogitCentering;

  constructor(
    readonly config: DinoConfig,
    student: Parameters,
    teacher: Parameters,
    centre: Tensor = zeros([config.head.prototypes]),
  ) {
    this.student = new DinoNetwork(config, student);
    this.teacher = new DinoNetwork(config, teacher);
    this.centering = new LogitCentering(centre, config.centerMomentum);
  }

  /** The losses of a step; the centre moves on after they are taken. */
  losses(
    batch: CropBatch,
    teacherTemperature: number,
    keep?: (group: number) => KeepBranches,
  ): DinoLosses {
    const teacherZ = this.teacher.encode([batch.global]).z;
    const teacherPrototypes = this.teacher.head.prototypes();
    const crops = batch.local ? [batch.global, batch.local] : [batch.global];
    const { features, z } = this.student.encode(crops, keep);
    const dino = dinoLoss(
      {
        z,
        prototypes: this.student.head.prototypes(),
        temperature: this.config.studentTemperature,
        views: batch.globalViews + batch.localViews,
      },
      {
        z: teacherZ,
        prototypes: teacherPrototypes,
        bias: this.centering.bias({ temperature: teacherTemperature }),
        temperature: teacherTemperature,
        views: batch.globalViews,
      },
    );
    this.centering.update(
      { z: teacherZ, prototypes: teacherPrototypes, temperature: teacherTemperature },
      dino,
    );
    return this.regularised(dino, features[0]!, batch);
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
