import { existsSync } from 'node:fs';

const usual = '/usr/local/cuda/bin/nvcc';

/** The CUDA compiler: CUDACXX, the one in the toolkit's usual folder, or that on the path. */
export const nvcc = process.env.CUDACXX ?? (existsSync(usual) ? usual : 'nvcc');
