// Data outside the checkout. Tests that need it skip by name where it is not there.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ImplementationFn } from 'ava';
import { packageRoot } from '../../lib/native.js';

const shared = process.env.PROTEA_SHARED ?? join(packageRoot(), '..', 'shared');

/** The path of something shared. */
export const sharedPath = (...parts: string[]) => join(shared, ...parts);

/** A test that needs a shared file or folder. */
export function testWith(path: string, title: string, body: ImplementationFn<[]>): void {
  if (existsSync(sharedPath(path))) test(title, body);
  else test.skip(`${title} (needs ${path} in PROTEA_SHARED)`, body);
}
