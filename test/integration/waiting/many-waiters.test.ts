// Thousands that wait in one process: what they cost, and what they do not hold up.

import { execPath } from 'node:process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../dist/index.js';
import { startHolder } from '../../support/holder.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const MANY_WAITERS = fileURLToPath(new URL('many-waiters.mjs', import.meta.url));

interface Measured {
  /** Threads that the process has more than before. */
  readonly threads: number;
  readonly bytesPerWaiter: number;
  /** Milliseconds until all were cancelled: the best of several times. */
  readonly cancelMs: number;
  readonly cancelled: number;
  /** Microseconds of fs.readFile: the best median and the best 99th percentile of several times. */
  readonly alone: { readonly median: number; readonly p99: number };
  readonly beside: { readonly median: number; readonly p99: number };
}

async function measure(...args: string[]): Promise<Measured> {
  const child = spawn(execPath, ['--expose-gc', MANY_WAITERS, namespace, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (part) => (text += String(part)));
  await once(child, 'close');
  return JSON.parse(text) as Measured;
}

it('10 000 of one lock take one thread and 2 KiB each, end with one signal, and hold up no file', async () => {
  await startHolder('a', { namespace });
  const { threads, bytesPerWaiter, cancelMs, cancelled, alone, beside } = await measure('a', '10000');

  expect(threads).toBe(1);
  expect(bytesPerWaiter).toBeLessThanOrEqual(2_048);
  expect(cancelled).toBe(10_000);
  expect(cancelMs).toBeLessThan(100);
  // As without them: four waits that block the threads of libuv's pool make it stand still.
  expect(beside.median).toBeLessThan(2 * alone.median);
  expect(beside.p99).toBeLessThan(3 * alone.p99 + 1_000);
}, 60_000);

it('1 000 locks can be waited for at once, and each of them is granted as soon as it is free', async () => {
  const locks = Array.from({ length: 1_000 }, (_, number) => new Lock(`one of many ${number}`, { namespace }));
  const holds = locks.map((lock) => lock.tryAcquire());
  const waits = locks.map((lock) => lock.acquire());
  holds[500]?.release();
  expect((await waits[500])?.release()).toBe(true);

  const begun = performance.now();
  for (const held of holds) held?.release();
  const granted = await Promise.all(waits);
  expect(performance.now() - begun).toBeLessThan(2_000);
  expect(granted.map((held, number) => number === 500 || held.release())).not.toContain(false);
  expect(locks.every((lock) => lock.available === 1)).toBe(true);
});
