// A process that is stopped while it holds a lock, or even while it changes one, holds up no event loop, neither of a process
// that tries nor of one that waits.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import type { LockDescription } from './support/lock-process.js';
import { promptly } from './support/promptly.js';
import { endSpareProcesses, Room } from './support/room.js';

const PROGRAM = fileURLToPath(new URL('support/event-loop.mjs', import.meta.url));
const BOUND_MS = 5;
/** What one turn in a hundred may take on a busy machine. A turn that waits for a stopped process takes longer. */
const LOADED_MS = 250;

afterAll(endSpareProcesses);

/** A process that tries, waits or blocks for the lock in its event loop. */
async function startUser(lock: LockDescription, use: 'try' | 'wait' | 'waitForMany' | 'block') {
  const child = fork(PROGRAM, [lock.namespace, lock.name, use], { execArgv: [] });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await once(child, 'message');
  await sleep(300); // code that has run before is quicker
  return {
    begin: () => void child.send('begin'),
    /** How long turns of its event loop stalled since then: all but one in a hundred at most, and the longest. */
    async stallsMs() {
      child.send('tell');
      const [all] = (await once(child, 'message')) as [number[]];
      expect(all.length).toBeGreaterThan(5);
      all.sort((one, other) => one - other);
      return { p99: all[Math.ceil(all.length * 0.99) - 1]!, longest: all.at(-1)! };
    },
    /** Ends when it has had the lock. */
    async end() {
      child.send('end');
      expect(await ended).toEqual([0, null]);
    },
  };
}

type User = Awaited<ReturnType<typeof startUser>>;

async function expectNoStalls(users: readonly User[], ms: number): Promise<void> {
  await promptly(BOUND_MS, async () => {
    for (const each of users) each.begin();
    await sleep(ms);
    const stalls: number[] = [];
    for (const each of users) {
      const { p99, longest } = await each.stallsMs();
      expect(longest).toBeLessThan(LOADED_MS);
      stalls.push(p99);
    }
    return Math.max(...stalls);
  });
}

function setting() {
  const room = new Room();
  return { room, lock: { namespace: room.namespace, name: 'lock' } };
}

describe(`no event loop stalls for ${BOUND_MS} ms`, () => {
  it('while a holder is stopped for 5 s, and all goes on afterwards', async () => {
    const { room, lock } = setting();
    const holder = room.process();
    const [grant] = await holder.take(lock, 1);
    const users = [await startUser(lock, 'try'), await startUser(lock, 'wait')];
    await holder.stop();
    await expectNoStalls(users, 5_000);

    holder.continue();
    expect(await holder.release(lock, grant!)).toBe(true);
    await Promise.all(users.map((each) => each.end()));
  });

  it('while a process is stopped that has the latch', async () => {
    const { room, lock } = setting();
    const inside = room.process();
    await inside.count(lock);
    const users = [await startUser(lock, 'try'), await startUser(lock, 'wait')];
    const { result } = await inside.stopAt('acquire_latched', () => inside.tryAcquire(lock));
    await expectNoStalls(users, 1_000);

    inside.continue();
    const grant = await result;
    if (grant !== null) await inside.release(lock, grant);
    await Promise.all(users.map((each) => each.end()));
  });

  it('while a process is stopped that has the latch of the table, and a thousand new names are waited for', async () => {
    const { room, lock } = setting();
    const inside = room.process();
    await inside.count(lock);
    const user = await startUser(lock, 'waitForMany');
    const second = { ...lock, name: 'second' };
    const { result } = await inside.stopAt('create_latched', () => inside.tryAcquire(second));
    await expectNoStalls([user], 1_000);

    inside.continue();
    await inside.release(second, (await result)!);
    await user.end();
  });

  it('but one that blocks for a lock is seen to stall (control)', async () => {
    const { room, lock } = setting();
    const holder = room.process();
    const [grant] = await holder.take(lock, 1);
    const user = await startUser(lock, 'block');
    user.begin();
    await sleep(500);
    expect((await user.stallsMs()).p99).toBeGreaterThan(15);
    await holder.release(lock, grant!);
    await user.end();
  });
});
