import { native } from '../native.js';

/** Told how far a part of the work has come, in [0, 1]. */
export type OnProgress = (part: string, share: number) => void;

const everyMs = 250;

/** Waits for `work`, and tells how far its long kernels have come. */
export async function watched<Result>(
  part: string,
  work: Promise<Result>,
  onProgress: OnProgress | undefined,
): Promise<Result> {
  if (!onProgress) return work;
  const timer = setInterval(() => {
    const share = native((addon) => addon.progress());
    if (share < 1) onProgress(part, share); // 1 may be left from the work before
  }, everyMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
