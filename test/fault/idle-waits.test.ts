// Waiting costs next to nothing, however many wait: processes that wait for one lock look after it in turns.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, expect, it } from 'vitest';

import { eventually } from './support/eventually.js';
import { endSpareProcesses, Room } from './support/room.js';

const PROCESSES = 8;
const WAITS = 64;
const SECONDS = 3;
/** Of a busy machine the first ones still see processes that have just begun to wait. */
const LOOKS = 4;
/**
 * One alone goes round 50 times in a second; they do so at random times, up to twice as often. In between each looks at one
 * word at least every 250 ms, or 125.
 */
const MOST_SLEEPS = 110 + 8 * PROCESSES;

afterAll(endSpareProcesses);

/** How often the addon's own threads of these processes have slept so far, and how long they have run. */
function threadsOf(pids: readonly number[]): { sleeps: number; ranMs: number } {
  let [sleeps, ranMs] = [0, 0];
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const read = (file: string): string => readFileSync(`/proc/${pid}/task/${thread}/${file}`, 'utf8');
      if (read('comm').trim() !== 'semlock') continue;
      sleeps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(read('status'))![1]);
      ranMs += Number(read('schedstat').split(' ')[0]) / 1e6;
    }
  }
  return { sleeps, ranMs };
}

it('many processes that wait look after their lock as often as one alone, in all', async () => {
  const room = new Room();
  const lock = { namespace: room.namespace, name: 'lock' };
  const holder = room.process();
  const grant = await holder.takeOne(lock);
  const waiting = Array.from({ length: PROCESSES }, () => room.process());
  for (const each of waiting) {
    for (let wait = 0; wait < WAITS; wait += 1) void each.waitInTurn(lock).catch(() => {}); // killed at the end
  }
  await eventually(async () => (await holder.query(room.namespace))[0]!.waiters.length === PROCESSES * WAITS);

  const pids = waiting.map(({ pid }) => pid);
  const looks: { sleeps: number; share: number }[] = []; // in a second each, and of a processor
  do {
    const before = threadsOf(pids);
    await sleep(SECONDS * 1000);
    const after = threadsOf(pids);
    looks.push({
      sleeps: (after.sleeps - before.sleeps) / SECONDS,
      share: (after.ranMs - before.ranMs) / SECONDS / 1000,
    });
  } while (looks.at(-1)!.sleeps > MOST_SLEEPS && looks.length < LOOKS);
  const { sleeps, share } = looks.at(-1)!;
  expect(sleeps).toBeGreaterThan(20);
  expect(sleeps, JSON.stringify(looks)).toBeLessThanOrEqual(MOST_SLEEPS);
  expect(share).toBeLessThan(0.02);
  await holder.release(lock, grant);
});
