// What a checkpoint says about how it was made, beside its tensors.
import type { TensorFile } from '../formats/tensor-file.js';

export interface CheckpointFacts {
  step: number | null;
  epoch: number | null;
  /** As the schedule stands at this checkpoint; the official defaults where nothing is said. */
  teacherTemperature: number;
  studentTemperature: number;
  /** The temperatures stand in the file. */
  told: boolean;
  /** Logits carry the von Mises-Fisher normaliser. */
  vmf: boolean;
  /** Name of the official architecture, as vit_small. */
  arch: string | null;
  /** Settings of the Protea run, from its metadata. */
  run: Record<string, Record<string, unknown>> | null;
}

const defaults = { teacherTemperature: 0.04, studentTemperature: 0.1 };

const numberIn = (map: unknown, key: string): number | null => {
  const value = map instanceof Map ? map.get(key) : undefined;
  return typeof value === 'number' ? value : null;
};

/** DINO's linear warm-up by epochs, from `warmup_teacher_temp` to `teacher_temp`. */
function temperatureAt(args: unknown, epoch: number | null): number | null {
  const end = numberIn(args, 'teacher_temp');
  const start = numberIn(args, 'warmup_teacher_temp');
  const epochs = numberIn(args, 'warmup_teacher_temp_epochs');
  if (end === null || start === null || !epochs || epoch === null || epoch >= epochs) return end;
  return start + ((end - start) * Math.max(0, epoch)) / Math.max(1, epochs - 1);
}

/** MSN writes the temperature of its anchors; its targets are sharpened to a quarter of it. */
function temperaturesOfMsn(extra: Map<unknown, unknown>): Partial<CheckpointFacts> {
  const anchors = extra.has('args') ? null : numberIn(extra, 'temperature');
  if (!anchors) return {};
  return { teacherTemperature: anchors / 4, studentTemperature: anchors, told: true };
}

function ofTorch(extra: Map<unknown, unknown>): CheckpointFacts {
  const args = extra.get('args');
  const epoch = numberIn(extra, 'epoch');
  const temperature = temperatureAt(args, epoch);
  const arch = args instanceof Map ? args.get('arch') : undefined;
  return {
    step: numberIn(extra, 'iteration'),
    epoch,
    ...defaults,
    ...(temperature ? { teacherTemperature: temperature } : {}),
    told: temperature !== null,
    ...temperaturesOfMsn(extra),
    vmf: false,
    arch: typeof arch === 'string' ? arch : null,
    run: null,
  };
}

const nothing: CheckpointFacts = {
  step: null,
  epoch: null,
  ...defaults,
  told: false,
  vmf: false,
  arch: null,
  run: null,
};

function ofRun(text: string): CheckpointFacts {
  try {
    const { step, config } = JSON.parse(text) as { step: number; config: CheckpointFacts['run'] };
    const loss = config?.loss;
    const at = (key: string, fallback: number) =>
      typeof loss?.[key] === 'number' ? loss[key] : fallback;
    return {
      ...nothing,
      step,
      teacherTemperature: at('teacherTemperature', defaults.teacherTemperature),
      studentTemperature: at('studentTemperature', defaults.studentTemperature),
      told: true,
      vmf: config?.head?.vmf === true,
      run: config,
    };
  } catch {
    return nothing;
  }
}

/** What a file says beside its tensors. Nothing in it is trusted to be there. */
export function factsOf({ extra }: Pick<TensorFile, 'extra'>): CheckpointFacts {
  if (extra instanceof Map) return ofTorch(extra);
  const text = (extra as { protea?: unknown } | undefined)?.protea;
  return typeof text === 'string' ? ofRun(text) : nothing;
}
