import { sliceRows, type Tensor, weightedSum } from '../../tensor/index.js';
import type { Terms } from '../recipe.js';
import type { MethodStep } from '../step.js';
import { koleoLoss } from './koleo.js';
import { koleoProto } from './koleo-proto.js';
import { meMaxOf } from './me-max.js';

/** Weights of what any method can have; 0: left out. */
export interface RegularizerWeights {
  /** KoLeo on the CLS features of each global crop, summed over the crops, as in DINOv2. */
  koleo: number;
  /** KoLeo-proto on the prototypes of each head, summed over the heads. */
  koleoProto: number;
  /** Limit of the norm of KoLeo-proto's own gradient; 0: none. @default 1 */
  koleoProtoClip?: number;
  /** Size of the fixed noise that parts exact copies; 0: none. @default 1e-4 */
  koleoProtoTieBreak?: number;
  /** ME-MAX on the student's mean prediction. @default 0 */
  meMax?: number;
}

const summed = (losses: readonly Tensor[]): Tensor =>
  weightedSum(
    losses,
    losses.map(() => 1),
  );

/** KoLeo within each global view: neighbours are other images. */
function featureKoleo({ features, views }: { features: Tensor; views: number }): Tensor {
  const images = features.shape[0]! / views;
  return summed(
    Array.from({ length: views }, (_, v) =>
      koleoLoss(sliceRows(features, v * images, (v + 1) * images)),
    ),
  );
}

function prototypeKoleo({ student, method }: MethodStep, weights: RegularizerWeights): Tensor {
  const losses = method.heads.map((head) =>
    koleoProto(student.headOf(head).directions, {
      clip: weights.koleoProtoClip ?? 1,
      tieBreak: weights.koleoProtoTieBreak ?? 1e-4,
    }),
  );
  return losses.length > 1 ? summed(losses) : losses[0]!;
}

/** The regularizers that are wanted, by name. KoLeo-proto rests while the prototypes stand still. */
export function regularizers(step: MethodStep, weights: RegularizerWeights): Terms {
  const { koleo, koleoProto: spread, meMax = 0 } = weights;
  const { globalFeatures, predictions } = step;
  const spreads = spread > 0 && !step.values.frozen;
  return {
    koleoProto: spreads ? { loss: prototypeKoleo(step, weights), weight: spread } : undefined,
    koleo:
      koleo > 0 && globalFeatures
        ? { loss: featureKoleo(globalFeatures), weight: koleo }
        : undefined,
    meMax: meMax > 0 && predictions ? { loss: meMaxOf(predictions), weight: meMax } : undefined,
  };
}
