// Waiting for a Lock or a Semaphore: who is served when, and how a wait ends that is not served.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it, onTestFinished } from 'vitest';

import type { Held } from '../../../src/hold.js';
import { Lock } from '../../../src/lock.js';
import { Semaphore } from '../../../src/semaphore.js';
import { failure } from '../../support/failure.js';
import { startHolder } from '../../support/holder.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
let names = 0;
const freshLock = () => new Lock(`lock ${(names += 1)}`, { namespace });
const isFree = (lock: Lock | Semaphore) => lock.tryAcquire()?.release() ?? false;

/** Keeps this thread busy, so that whatever comes from elsewhere has come when its event loop goes on. */
function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

describe('acquire()', () => {
  it('serves those who wait in the order in which they came, one at a time', async () => {
    const lock = freshLock();
    const held = lock.tryAcquire()!;
    const order: number[] = [];
    let inside = 0;
    const all = Array.from({ length: 100 }, async (_, index) => {
      const mine = await lock.acquire();
      expect((inside += 1)).toBe(1);
      order.push(index);
      await nextTurn();
      inside -= 1;
      mine.release();
    });
    held.release();
    await Promise.all(all);
    expect(order).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('is not overtaken by a try, nor by an acquire that comes when the lock is released', async () => {
    const lock = freshLock();
    const held = lock.tryAcquire()!;
    const first = lock.acquire();
    held.release();
    expect(lock.tryAcquire()).toBeNull();
    expect(lock.acquireSync({ timeoutMs: 0 })).toBeNull();
    const second = lock.acquire();
    const { token } = await first;
    expect(await Promise.race([second, nextTurn('waits')])).toBe('waits');
    (await first).release();
    expect((await second).token).toBeGreaterThan(token);
    (await second).release();
  });

  it('serves as many at once as a semaphore has permits, in their order', async () => {
    const semaphore = new Semaphore('three', { namespace, permits: 3 });
    const order: number[] = [];
    let [inside, most] = [0, 0];
    const visit = async (_: unknown, index: number) => {
      const held = await semaphore.acquire();
      order.push(index);
      most = Math.max(most, (inside += 1));
      await sleep(2);
      inside -= 1;
      held.release();
    };
    await Promise.all(Array.from({ length: 30 }, visit));
    expect(most).toBe(3);
    expect(order).toEqual(Array.from({ length: 30 }, (_, index) => index));
  });

  it('lets readers in together, and none past a writer', async () => {
    const lock = freshLock();
    const reader = lock.tryAcquire({ mode: 'shared' })!;
    const order: string[] = [];
    const enter = async (who: string, mode: 'shared' | 'exclusive') => {
      const held = await lock.acquire({ mode });
      order.push(`${who} enters`);
      await nextTurn();
      order.push(`${who} leaves`);
      held.release();
    };
    const all = [enter('writer', 'exclusive'), enter('one', 'shared'), enter('two', 'shared')];
    await nextTurn();
    expect(order).toEqual([]);
    reader.release();
    await Promise.all(all);
    expect(order.slice(0, 3)).toEqual(['writer enters', 'writer leaves', 'one enters']);
    expect(order.slice(3).sort()).toEqual(['one leaves', 'two enters', 'two leaves']);
  });

  it('rejects with the reason of its signal, at once or while it waits, and not once it is served', async () => {
    const lock = freshLock();
    await expect(lock.acquire({ signal: AbortSignal.abort('before') })).rejects.toBe('before');
    const held = lock.tryAcquire()!;
    const controller = new AbortController();
    const waits = lock.acquire({ signal: controller.signal });
    controller.abort('meanwhile');
    await expect(waits).rejects.toBe('meanwhile');

    const late = new AbortController();
    const next = lock.acquire({ signal: late.signal });
    held.release();
    const served = await next;
    late.abort();
    expect(served.signal.aborted).toBe(false);
    expect(served.release()).toBe(true);
  });

  it('serves the next one when one ahead of it gives up', async () => {
    const lock = freshLock();
    const reader = lock.tryAcquire({ mode: 'shared' })!;
    const controller = new AbortController();
    const writer = lock.acquire({ signal: controller.signal });
    const next = lock.acquire({ mode: 'shared' });
    expect(await Promise.race([next, nextTurn('waits')])).toBe('waits');
    controller.abort('enough');
    await expect(writer).rejects.toBe('enough');
    expect((await next).mode).toBe('shared');
    (await next).release();
    reader.release();
  });

  it.each([-1, 1.5, '5', 2 ** 31])('refuses the timeoutMs %j, by rejecting', async (timeoutMs) => {
    const options = { timeoutMs } as { timeoutMs: number };
    await expect(freshLock().acquire(options)).rejects.toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    expect(failure(() => freshLock().acquireSync(options))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
  });
});

describe('the end of a wait that meets its grant', () => {
  // The grant is there from the release on; how far the news of it has come depends on how long this thread is busy.
  const busyMs = [0, 0, 0.05, 0.2, 1, 5, 30];

  it.each(busyMs)('by an abort, %d ms later, loses no permit and runs no callback', async (ms) => {
    const lock = freshLock();
    for (let round = 0; round < 20; round += 1) {
      const held = lock.tryAcquire()!;
      const controller = new AbortController();
      const run = lock.run(() => expect.unreachable(), { signal: controller.signal });
      held.release();
      spin(ms);
      controller.abort('enough');
      await expect(run).rejects.toBe('enough');
      await expect.poll(() => isFree(lock), { interval: 1 }).toBe(true);
    }
  });

  it.each(busyMs)('by its time, %d ms later, either has the lock or leaves it to others', async (ms) => {
    const lock = freshLock();
    for (let round = 0; round < 20; round += 1) {
      const held = lock.tryAcquire()!;
      const wait = lock.acquire({ timeoutMs: 1 }).catch((error: unknown) => error as { code: string });
      spin(1 - Math.random());
      held.release();
      spin(ms);
      const outcome = await wait;
      if ('code' in outcome) expect(outcome.code).toBe('ERR_SEMLOCK_TIMEOUT');
      else expect(outcome.release()).toBe(true);
      await expect.poll(() => isFree(lock), { interval: 1 }).toBe(true);
    }
  });
});

describe('acquireSync()', () => {
  it('has a free lock at once, and waits for one that is held for as long as it is told', () => {
    const lock = freshLock();
    const held = lock.acquireSync()!;
    const start = performance.now();
    expect(lock.acquireSync({ timeoutMs: 50 })).toBeNull();
    expect(performance.now() - start).toBeGreaterThanOrEqual(49);
    expect(held.release()).toBe(true);
    expect(lock.acquireSync({ timeoutMs: 50 })!.release()).toBe(true);
  });

  it('says at once that its thread would block forever: for a lock that it holds, or that it waits for', async () => {
    const lock = freshLock();
    const held = lock.acquireSync()!;
    const deadlock = { code: 'ERR_SEMLOCK_DEADLOCK', lockName: lock.name, cause: { code: 'EDEADLK' } };
    expect(failure(() => lock.acquireSync())).toMatchObject(deadlock);
    const next = lock.acquire();
    held.release();
    expect(failure(() => lock.acquireSync())).toMatchObject(deadlock);
    expect(lock.acquireSync({ timeoutMs: 10 }), 'with a time it is a wait as any').toBeNull();
    const controller = new AbortController();
    const aborted = expect(lock.acquire({ signal: controller.signal })).rejects.toBe('enough');
    controller.abort('enough');
    (await next).release();
    expect(lock.acquireSync()!.release(), 'nothing waits any more').toBe(true);
    await aborted;
  });

  it.each([
    ['releases it', 'held.release(); setTimeout(() => {}, 2000).unref();', false],
    ['is killed', `process.kill(process.pid, 'SIGKILL');`, true],
  ])('has the lock when its holder in another process %s', async (_how, end, abandoned) => {
    const lock = freshLock();
    const source = `
      import { Lock } from 'semlock';
      const [name, namespace] = process.argv.slice(1);
      const held = new Lock(name, { namespace }).tryAcquire();
      console.log('held');
      setTimeout(() => { ${end} }, 200);`;
    const args = ['--input-type=module', '--eval', source, '--', lock.name, namespace];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    expect(lock.tryAcquire()).toBeNull();

    const held = lock.acquireSync()!;
    expect(held.abandoned).toBe(abandoned);
    expect(held.release()).toBe(true);
  });

  it('shares the lock among readers, and waits for them when it wants it alone', async () => {
    const lock = freshLock();
    const other = await startHolder(lock.name, { namespace });
    expect(lock.acquireSync({ mode: 'shared', timeoutMs: 20 })).toBeNull();
    await other.release();
    const readers = [1, 2].map(() => lock.acquireSync({ mode: 'shared' }) as Held);
    expect(lock.acquireSync({ timeoutMs: 20 })).toBeNull();
    for (const each of readers) each.release();
    expect(lock.acquireSync()!.release()).toBe(true);
  });
});
