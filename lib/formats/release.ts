import { MessageChannel } from 'node:worker_threads';

/**
 * Gives the memory behind some numbers back; they have length 0 afterwards. The collector
 * would do it too, but late: a buffer of 64 MB is a small object to it.
 */
export async function release(values: ArrayLike<number>): Promise<void> {
  if (!ArrayBuffer.isView(values) || !(values.buffer instanceof ArrayBuffer)) return;
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(null, [values.buffer]);
  port1.close();
  port2.close();
  await new Promise(setImmediate); // ports are torn down in the next turn
}
