// Mutual exclusion, shown by work: if two workers were ever in the file at once, counts would be missing.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { scratchNamespace } from '../../support/shm.js';

const COUNTER = fileURLToPath(new URL('counter.mjs', import.meta.url));
const WORKERS = 4;
const TIMES = 250;
const namespace = scratchNamespace();

describe(`${WORKERS} cluster workers that each add 1 to a file ${TIMES} times, again when they are told busy`, () => {
  it('count exactly, with the lock that processes share', async () => {
    const { counted, busy, workers } = await countWith('process');

    expect(workers).toBe(WORKERS);
    expect(counted).toBe(WORKERS * TIMES);
    expect(busy, 'they have been in each other’s way').toBeGreaterThan(0);
  }, 240_000);

  it('count wrongly, with a lock of each process alone', async () => {
    const { counted, busy, workers } = await countWith('thread');

    expect(workers).toBe(WORKERS);
    expect(counted).not.toBe(WORKERS * TIMES);
    expect(busy).toBe(0);
  }, 240_000);
});

async function countWith(kind: 'process' | 'thread') {
  const folder = await mkdtemp(join(tmpdir(), 'semlock-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'count');
  await writeFile(file, '0');

  const cluster = spawn(process.execPath, [COUNTER, file, kind], {
    env: { ...process.env, SEMLOCK_NAMESPACE: namespace },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(cluster, 'close');
  onTestFinished(async () => {
    cluster.kill('SIGTERM');
    await ended;
  });
  const port = Number(String((await once(cluster.stdout, 'data'))[0]));

  const clients = await Promise.all(Array.from({ length: WORKERS }, () => client(port)));
  return {
    counted: Number(await readFile(file, 'utf8')),
    busy: clients.reduce((sum, { busy }) => sum + busy, 0),
    workers: new Set(clients.map(({ worker }) => worker)).size,
  };
}

/** Keeps one connection, and so one worker, until that has counted `TIMES` times. */
async function client(port: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let worker: unknown;
  let busy = 0;
  for (let done = 0; done < TIMES;) {
    const { statusCode, headers } = await post(port, agent);
    worker = headers['x-worker'];
    if (statusCode === 200) done++;
    else if (statusCode === 503) busy++;
    else throw new Error(`the cluster answered ${statusCode}`);
  }
  agent.destroy();
  return { worker, busy };
}

function post(port: number, agent: Agent): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, agent, method: 'POST' }, (response) => {
      response.resume().once('end', () => resolve(response));
    })
      .once('error', reject)
      .end();
  });
}
