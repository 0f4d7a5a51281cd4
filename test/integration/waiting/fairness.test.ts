// Who waits gets its turn: as often as the others, and a writer however many readers come.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../dist/index.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const CONTENDER = fileURLToPath(new URL('contender.mjs', import.meta.url));
const READER_TURN_MS = 200;

interface Counts {
  /** How often each of the process's waiters had the lock. */
  readonly turns: number[];
}

async function startContender(name: string, mode: 'exclusive' | 'shared', waiters: number): Promise<ChildProcess> {
  const child = fork(CONTENDER, [namespace, name, mode, String(waiters), String(READER_TURN_MS)]);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

async function stop(child: ChildProcess): Promise<Counts> {
  child.send('stop');
  const [counts] = (await once(child, 'message')) as [Counts];
  await once(child, 'exit');
  return counts;
}

const mean = (numbers: number[]) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

it('of 4 processes with 8 waiters each, none gets less than half of the mean, and neither does a waiter in one', async () => {
  const contenders = await Promise.all(Array.from({ length: 4 }, () => startContender('a', 'exclusive', 8)));
  for (const each of contenders) each.send('go');
  await sleep(4_000);
  const turns = (await Promise.all(contenders.map(stop))).map((counts) => counts.turns);

  const ofProcesses = turns.map((each) => each.reduce((sum, one) => sum + one, 0));
  expect(Math.min(...ofProcesses), `turns ${ofProcesses.join(', ')}`).toBeGreaterThan(mean(ofProcesses) / 2);
  expect(mean(ofProcesses)).toBeGreaterThan(100);
  for (const ofWaiters of turns) expect(Math.min(...ofWaiters)).toBeGreaterThan(mean(ofWaiters) / 2);
}, 20_000);

it('a writer is let in within two turns of readers of which there are always some', async () => {
  const readers = await Promise.all(Array.from({ length: 3 }, () => startContender('b', 'shared', 4)));
  for (const each of readers) each.send('go');
  await sleep(2 * READER_TURN_MS);
  const lock = new Lock('b', { namespace });

  const waited = [];
  for (let round = 0; round < 5; round += 1) {
    for (let times = 0; times < 20; times += 1) {
      expect(lock.tryAcquire(), 'there always is a reader').toBeNull();
      await sleep(READER_TURN_MS / 20);
    }
    const begun = performance.now();
    const writer = await lock.acquire();
    waited.push(performance.now() - begun);
    writer.release();
  }
  expect(Math.max(...waited)).toBeLessThan(2 * READER_TURN_MS);

  const turns = (await Promise.all(readers.map(stop))).flatMap((counts) => counts.turns);
  expect(Math.min(...turns)).toBeGreaterThan(0);
}, 20_000);
