// Many clients that wait for one lock in a cluster: each is served or told busy in time, and none is forgotten.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request, type ClientRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { scratchNamespace } from '../../support/shm.js';

const SERVER = fileURLToPath(new URL('waiting.mjs', import.meta.url));
const WORKERS = 4;
const CONNECTIONS = 200;

describe(`${CONNECTIONS} connections to ${WORKERS} cluster workers, for one lock`, () => {
  it('are each served, or told busy after waitMs, and none hangs', async () => {
    const [waitMs, workMs] = [2_000, 25];
    const cluster = await startCluster({ waitMs, workMs });
    const answers = await Promise.all(cluster.connect(CONNECTIONS).map(({ answer }) => answer));

    const served = answers.filter(({ status }) => status === 200);
    const busy = answers.filter(({ status }) => status === 503);
    expect(served.length + busy.length).toBe(CONNECTIONS);
    expect(busy.length, 'there is more to do than there is time for').toBeGreaterThan(0);
    expect(await cluster.counted(), 'never did two count at once').toBe(served.length);
    expect(new Set(cluster.news.flatMap(({ worker }) => worker ?? [])).size).toBe(WORKERS);
    for (const { afterMs } of busy) expect(afterMs).toBeGreaterThanOrEqual(waitMs);
    for (const { afterMs } of answers) expect(afterMs).toBeLessThan(waitMs + 3_000);

    const [last] = cluster.connect(1);
    expect(await last!.answer).toMatchObject({ status: 200 });
  }, 60_000);

  it('are served as long as their clients stay; the handlers of those that leave never run', async () => {
    const cluster = await startCluster({ waitMs: 30_000, workMs: 0 });
    const elsewhere = cluster.lock.tryAcquire()!;
    const clients = cluster.connect(CONNECTIONS);
    await cluster.has('arrived', clients);

    const leaving = clients.filter((_client, index) => index % 2 === 0);
    const staying = clients.filter((_client, index) => index % 2 === 1);
    for (const client of leaving) client.leave();
    await cluster.has('left', leaving);
    elsewhere.release();

    const answers = await Promise.all(staying.map(({ answer }) => answer));
    expect(answers.map(({ status }) => status)).toEqual(staying.map(() => 200));
    expect(cluster.pathsOf('served').sort()).toEqual(staying.map(({ path }) => path).sort());
    expect(await cluster.counted()).toBe(staying.length);
  }, 60_000);

  it('leave no one in the queue when all clients leave', async () => {
    const cluster = await startCluster({ waitMs: 30_000, workMs: 0 });
    // A reader notices those who wait to have the lock alone: it is not let in ahead of them.
    using _reader = cluster.lock.tryAcquire({ mode: 'shared' })!;
    const isWaitedFor = () => cluster.lock.tryAcquire({ mode: 'shared' })?.release() === undefined;
    const clients = cluster.connect(CONNECTIONS);
    await cluster.has('arrived', clients);
    expect(isWaitedFor()).toBe(true);

    for (const client of clients) client.leave();
    await cluster.has('left', clients);
    await expect.poll(isWaitedFor, { interval: 5 }).toBe(false);
    expect(cluster.pathsOf('served')).toEqual([]);
  }, 60_000);
});

/** What a worker says of a request: its path, under what happened to it. */
interface News {
  arrived?: string;
  served?: string;
  left?: string;
  worker?: number;
}

interface Answer {
  readonly status: number | undefined;
  readonly afterMs: number;
}

async function startCluster({ waitMs, workMs }: { waitMs: number; workMs: number }) {
  const folder = await mkdtemp(join(tmpdir(), 'semlock-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'count');
  await writeFile(file, '0');
  const namespace = scratchNamespace();

  const child = spawn(process.execPath, [SERVER, file, String(waitMs), String(workMs)], {
    env: { ...process.env, SEMLOCK_NAMESPACE: namespace },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const lines = createInterface(child.stdout);
  const [first] = (await once(lines, 'line')) as [string];
  const { port } = JSON.parse(first) as { port: number };
  const news: News[] = [];
  lines.on('line', (line) => news.push(JSON.parse(line) as News));

  const pathsOf = (what: 'arrived' | 'served' | 'left') => news.flatMap((each) => each[what] ?? []);
  let connected = 0;
  return {
    news,
    pathsOf,
    lock: new Lock('counter', { namespace }),
    counted: async () => Number(await readFile(file, 'utf8')),
    connect: (count: number) => Array.from({ length: count }, () => connect(port, `/${(connected += 1)}`)),
    /** Until that has happened to the requests of all these clients. */
    has: (what: 'arrived' | 'left', clients: readonly { path: string }[]) =>
      expect.poll(() => pathsOf(what).length, { timeout: 20_000, interval: 10 }).toBe(clients.length),
  };
}

/** A request on a connection of its own. */
function connect(port: number, path: string) {
  const begun = performance.now();
  let sent: ClientRequest;
  const answer = new Promise<Answer>((resolve, reject) => {
    sent = request({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      const afterMs = performance.now() - begun;
      response.resume().once('end', () => resolve({ status: response.statusCode, afterMs }));
    });
    sent.once('error', reject).end();
  });
  const leave = () => {
    answer.catch(() => undefined); // the end of the connection is what it was to be
    sent.destroy();
  };
  return { path, answer, leave };
}
