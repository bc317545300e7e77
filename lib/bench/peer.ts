import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { ProteaError } from '../error.js';
import { packageRoot } from '../native.js';

/**
 * The environment in which PyTorch on Debian is fastest: one pool of threads instead of two that
 * fight, and no page faults for every tensor.
 */
function tuned(): NodeJS.ProcessEnv {
  const blas = `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/openblas-openmp`;
  return {
    ...process.env,
    ...(existsSync(blas) ? { LD_LIBRARY_PATH: blas } : {}),
    MALLOC_MMAP_THRESHOLD_: String(2 ** 33),
    MALLOC_TRIM_THRESHOLD_: String(2 ** 34),
    MALLOC_TOP_PAD_: String(2 ** 28),
  };
}

/**
 * Bytes by which a first call raises the peak of a fresh process: with memory given back to the system,
 * unlike in the environment that is fastest.
 */
export async function torchMemory(op: string, shape: Record<string, number>): Promise<number> {
  const peer = await TorchPeer.start({ ...process.env });
  try {
    await peer.prepare(op, shape);
    return await peer.memory();
  } finally {
    peer.stop();
  }
}

/** A Python process that does the same work with PyTorch, one call at a time. */
export class TorchPeer {
  private constructor(
    private readonly process: ChildProcessWithoutNullStreams,
    private readonly lines: Interface,
  ) {}

  /** @throws ERR_PROTEA_BACKEND_UNAVAILABLE when no Python with PyTorch is found */
  static async start(env: NodeJS.ProcessEnv = tuned()): Promise<TorchPeer> {
    const python = process.env.PROTEA_PYTHON ?? 'python3';
    const script = join(packageRoot(), 'bench', 'peer', 'torch_peer.py');
    const child = spawn(python, [script], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    const peer = new TorchPeer(child, createInterface(child.stdout));
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    const failed = once(child, 'exit').then(() => {
      throw new ProteaError(
        'ERR_PROTEA_BACKEND_UNAVAILABLE',
        `${python} cannot run PyTorch: ${errors.trim().split('\n').at(-1)}`,
        {
          hint: 'Install PyTorch (Debian: python3-torch), or name a Python that has it with PROTEA_PYTHON.',
        },
      );
    });
    failed.catch(() => undefined);
    await Promise.race([peer.ask({ case: 'linear', shape: { rows: 8, in: 8, out: 8 } }), failed]);
    return peer;
  }

  private async ask(request: object): Promise<Record<string, number>> {
    const answer = once(this.lines, 'line');
    this.process.stdin.write(`${JSON.stringify(request)}\n`);
    return JSON.parse((await answer)[0] as string) as Record<string, number>;
  }

  async prepare(op: string, shape: Record<string, number>): Promise<void> {
    await this.ask({ case: op, shape });
  }

  /** Milliseconds of one call. */
  async run(): Promise<number> {
    return (await this.ask({ run: true })).ms!;
  }

  async memory(): Promise<number> {
    return (await this.ask({ memory: true })).bytes!;
  }

  stop(): void {
    this.process.kill();
  }
}
