import test, { type ImplementationFn } from 'ava';
import { gpu } from '../../lib/tensor/index.js';

/** A test that needs a GPU; PROTEA_BACKEND=simt gives an emulated one. */
export function gpuTest(title: string, body: ImplementationFn<[]>): void {
  if (gpu().ready) test.serial(title, body);
  else test.skip(`${title} (needs a GPU: ${gpu().reason})`, body);
}
