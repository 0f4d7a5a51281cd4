// Starts a program whose workers serve one port, and that tells by lines of its output.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { scratchNamespace } from './shm.js';

/** It ends with the test, and says its port first. `nextLine` waits for what it says next. */
export async function startCluster(program: URL, ...args: string[]) {
  const cluster = spawn(process.execPath, [fileURLToPath(program), ...args], {
    env: { ...process.env, SEMLOCK_NAMESPACE: scratchNamespace() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(cluster, 'close');
  onTestFinished(async () => {
    cluster.kill('SIGTERM');
    await ended;
  });
  const nextLine = async () => String((await once(cluster.stdout, 'data'))[0]).trim();
  return { port: Number(await nextLine()), pid: cluster.pid, nextLine };
}
