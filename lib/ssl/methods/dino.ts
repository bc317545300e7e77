import {
  type KeepBranches,
  type ParameterSpec,
  type Parameters,
  under,
  VisionTransformer,
  type ViTConfig,
  vitParameters,
} from '../../nn/index.js';
import { concatRows, type Tensor, weightedSum, zeros } from '../../tensor/index.js';
import {
  PrototypeHead,
  type PrototypeHeadConfig,
  prototypeHeadParameters,
} from '../heads/prototype-head.js';
import { dinoLoss } from '../losses/dino.js';
import { koleoProto } from '../regularizers/koleo-proto.js';
import { LogitCentering } from '../targets/logit-centering.js';

export interface DinoConfig {
  backbone: ViTConfig;
  head: PrototypeHeadConfig;
  studentTemperature: number;
  centerMomentum: number;
  /** Weight of KoLeo-proto; 0: off. */
  koleoProto: number;
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

  /** Crops of one or more sizes to bottleneck vectors, one below the other. */
  bottleneck(crops: readonly Tensor[], keep?: (group: number) => KeepBranches): Tensor {
    const features = crops.map((group, i) =>
      this.backbone.features(group, keep ? { keep: keep(i) } : {}),
    );
    return this.head.bottleneck(features.length > 1 ? concatRows(features) : features[0]!);
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
  /** Teacher bottleneck vectors, for diagnosis. */
  teacherZ: Tensor;
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
    const teacherZ = this.teacher.bottleneck([batch.global]);
    const teacherPrototypes = this.teacher.head.prototypes();
    const crops = batch.local ? [batch.global, batch.local] : [batch.global];
    const dino = dinoLoss(
      {
        z: this.student.bottleneck(crops, keep),
        prototypes: this.student.head.prototypes(),
        temperature: this.config.studentTemperature,
        views: batch.globalViews + batch.localViews,
      },
      {
        z: teacherZ,
        prototypes: teacherPrototypes,
        bias: this.centering.bias(teacherTemperature),
        temperature: teacherTemperature,
        views: batch.globalViews,
      },
    );
    this.centering.update(teacherZ, teacherPrototypes, dino);
    return { dino, teacherZ, ...this.regularised(dino) };
  }

  private regularised(dino: Tensor): Pick<DinoLosses, 'total' | 'koleoProto'> {
    if (this.config.koleoProto === 0) return { total: dino, koleoProto: undefined };
    const spread = koleoProto(this.student.head.directions);
    return {
      total: weightedSum([dino, spread], [1, this.config.koleoProto]),
      koleoProto: spread,
    };
  }
}
