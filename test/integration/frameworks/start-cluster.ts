// Starts a cluster of a framework's workers.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { scratchNamespace } from '../../support/shm.js';

const SERVER = fileURLToPath(new URL('cluster.mjs', import.meta.url));

/** It ends with the test. Gives the port, and waits for the cluster to notice that a worker has gone. */
export async function startCluster(framework: string) {
  const cluster = spawn(process.execPath, [SERVER, framework], {
    env: { ...process.env, SEMLOCK_NAMESPACE: scratchNamespace() },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(cluster, 'close');
  onTestFinished(async () => {
    cluster.kill('SIGTERM');
    await ended;
  });
  const nextLine = async () => String((await once(cluster.stdout, 'data'))[0]).trim();
  return { port: Number(await nextLine()), workerIsGone: nextLine };
}
