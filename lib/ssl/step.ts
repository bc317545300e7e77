import { ProteaError } from '../error.js';
import { type PrototypeRows, type Tensor, takeToken, tensor, unrecorded } from '../tensor/index.js';
import type { CropBatch, StepValues } from './crop-batch.js';
import type { PrototypeHead } from './heads/prototype-head.js';
import type { HeadName, Network } from './network.js';
import type { Targets, TeacherRows } from './targets/targets.js';

/** Normed tokens (B, 1 + registers + N, D) of some crops and their CLS features (B, D). */
export interface Seen {
  tokens: Tensor;
  features: Tensor;
}

type Side = Omit<PrototypeRows, 'z' | 'temperature'>;

/** What a step needs of its method. */
export interface StepMethod {
  readonly config: {
    studentTemperature: number;
    /** Weights of the method's own terms. @default 1 each */
    weights?: { cls?: number; patch?: number };
  };
  readonly student: Network;
  readonly teacher: Network;
  /** How the teacher's tokens become targets. */
  readonly targets: ReadonlyMap<HeadName, Targets>;
  /** The heads that have prototypes of their own. */
  readonly heads: readonly HeadName[];
  /** The head whose prototypes tokens of that kind meet. */
  prototypesHead(tokens: HeadName): HeadName;
  /** The teacher's prototypes at a temperature. */
  teacherSide(tokens: HeadName, temperature: number): Omit<TeacherRows, 'z'>;
}

/** What the losses of one step share: both networks, their prototypes, and what to do afterwards. */
export class MethodStep {
  /** Balanced targets that were used, by head: what prototypes without a gradient learn from. */
  readonly taught: { head: HeadName; rows: TeacherRows }[] = [];
  /** The student's CLS features of its global crops, view by view, for KoLeo. */
  globalFeatures: { features: Tensor; views: number } | undefined;
  /** The student's rows whose mean prediction ME-MAX spreads. */
  predictions: PrototypeRows | undefined;
  private readonly updates: ((guard: Tensor) => void)[] = [];
  private readonly students = new Map<PrototypeHead, Side>();
  private readonly teachers = new Map<HeadName, Omit<TeacherRows, 'z'>>();

  constructor(
    readonly method: StepMethod,
    readonly batch: CropBatch,
    readonly values: StepValues,
  ) {}

  get student(): Network {
    return this.method.student;
  }

  get teacher(): Network {
    return this.method.teacher;
  }

  /** The teacher's tokens of some crops. */
  teacherSees(images: Tensor): Seen {
    return seen(this.teacher.backbone.forward(images));
  }

  /** The student's tokens of crop group `group`; masked or with dropped patches if asked. */
  studentSees(
    images: Tensor,
    group: number,
    { mask, visible }: Pick<CropBatch, 'mask' | 'visible'> = {},
  ): Seen {
    const crops = images.shape[0]!;
    const masked = mask && tensor(mask, [crops, mask.length / crops]);
    const keep = this.values.keep?.(group);
    return seen(this.student.backbone.forward(images, { mask: masked, visible, keep }));
  }

  /**
   * The student's tokens of crops of which it is not shown the masked patches: those its predictor
   * gives for all places, and the encoder's features. Without a predictor mask tokens in the encoder.
   */
  studentPredicts(images: Tensor, mask: Uint8Array): Seen {
    const { predictor } = this.student;
    if (!predictor) return this.studentSees(images, 0, { mask });
    const visible = visibleOf(mask, images.shape[0]!);
    const keep = this.values.keep?.(0);
    const encoded = this.student.backbone.forward(images, { visible, keep });
    return { tokens: predictor.forward(encoded, visible), features: takeToken(encoded, 0) };
  }

  /** The student's bottleneck vectors z (rows, P) against its prototypes, made once a step and head. */
  studentRows(head: HeadName, z: Tensor): PrototypeRows {
    const of = this.student.headOf(head);
    const temperature = this.method.config.studentTemperature;
    let side = this.students.get(of);
    if (!side) {
      const prototypes = of.prototypes();
      side = { prototypes, bias: of.bias(prototypes, temperature) };
      this.students.set(of, side);
    }
    return { z, ...side, temperature };
  }

  /** The teacher's bottleneck vectors z (rows, P) against its prototypes, made once a step; not yet balanced. */
  teacherRows(head: HeadName, z: Tensor): TeacherRows {
    let side = this.teachers.get(head);
    if (!side) {
      const { teacherTemperature, patchTemperature = teacherTemperature } = this.values;
      const temperature = head === 'cls' ? teacherTemperature : patchTemperature;
      side = this.method.teacherSide(head, temperature);
      this.teachers.set(head, side);
    }
    return { z, ...side };
  }

  /**
   * Those rows as targets: balanced by the method's targets, whose state takes in `all` (the rows
   * themselves unless given) after the step.
   */
  targets(head: HeadName, rows: TeacherRows, all = rows): TeacherRows {
    const targets = this.method.targets.get(head)!;
    const balanced = { ...rows, bias: unrecorded(() => targets.bias(rows)) };
    this.taught.push({ head: this.method.prototypesHead(head), rows: balanced });
    this.after((guard) => targets.update(all, guard));
    return balanced;
  }

  /** Registers a change of state, made when all losses are taken, unless `guard` is not finite. */
  after(update: (guard: Tensor) => void): void {
    this.updates.push(update);
  }

  finish(guard: Tensor): void {
    unrecorded(() => {
      for (const update of this.updates) update(guard);
    });
  }
}

/**
 * The places of each image that are not masked, in raster order.
 * @throws ERR_PROTEA_SHAPE when images differ in their number: they go through the blocks as one tensor
 */
function visibleOf(mask: Uint8Array, images: number): Int32Array[] {
  const patches = mask.length / images;
  const visible = Array.from({ length: images }, (_, b) =>
    Int32Array.from({ length: patches }, (_, n) => n).filter((n) => !mask[b * patches + n]),
  );
  const odd = visible.findIndex(({ length }) => length !== visible[0]!.length);
  if (odd < 0) return visible;
  throw new ProteaError(
    'ERR_PROTEA_SHAPE',
    `a predictor needs masks of one size, but image 0 shows ${visible[0]!.length} patches and image ${odd} ${visible[odd]!.length}`,
  );
}

const seen = (tokens: Tensor): Seen => ({ tokens, features: takeToken(tokens, 0) });
