// Several locks at once: all or nothing, and never two who wait for each other.

import { describe, expect, it } from 'vitest';

import { acquireAll } from '../../../src/acquire-all.js';
import { Lock } from '../../../src/lock.js';
import { memoryStore } from '../../../src/stores/memory/memory-store.js';

function makeLocks() {
  const store = memoryStore();
  const make = (name: string) => new Lock(name, { namespace: 'test', store });
  return [make('a'), make('b'), make('c')] as const;
}
const available = (locks: readonly Lock[]) => locks.map((lock) => lock.available);

describe('acquireAll()', () => {
  it('has all of them until it releases them', async () => {
    const locks = makeLocks();
    const all = await acquireAll(locks);
    expect(all.holds.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(available(locks)).toEqual([0, 0, 0]);
    expect([all.release(), all.release()]).toEqual([true, false]);
    expect(available(locks)).toEqual([1, 1, 1]);
    {
      await using _all = await acquireAll(locks);
      expect(available(locks)).toEqual([0, 0, 0]);
    }
    expect(available(locks)).toEqual([1, 1, 1]);
  });

  it('takes them in one order, so that two who want the same ones never wait for each other', async () => {
    const [a, b, c] = makeLocks();
    const use = async (locks: Lock[]) => {
      for (let round = 0; round < 50; round += 1) {
        await using _all = await acquireAll(locks);
        await new Promise(setImmediate);
      }
    };
    await Promise.all([use([a, b, c]), use([c, b, a]), use([b, a]), use([c, a])]);
    expect(available([a, b, c])).toEqual([1, 1, 1]);
  });

  it('would be a deadlock in the order in which they are given (control)', async () => {
    const [a, b] = makeLocks();
    const use = async (one: Lock, other: Lock) => {
      await using _one = await one.acquire();
      await new Promise(setImmediate);
      await using _other = await other.acquire({ timeoutMs: 50 });
    };
    const outcomes = await Promise.allSettled([use(a, b), use(b, a)]);
    expect(outcomes.map(({ status }) => status)).toContain('rejected');
  });

  it('has none when one of them is not to be had', async () => {
    const locks = makeLocks();
    const [a, b, c] = locks;
    const held = b.tryAcquire()!;
    expect(await acquireAll(locks, { ifAvailable: true })).toBeNull();
    const late = { code: 'ERR_SEMLOCK_TIMEOUT', lockName: 'b' };
    await expect(acquireAll(locks, { timeoutMs: 20 })).rejects.toMatchObject(late);
    const leaving = new AbortController();
    const waiting = acquireAll(locks, { signal: leaving.signal });
    await new Promise(setImmediate);
    expect(a.available).toBe(0);
    leaving.abort('gone');
    await expect(waiting).rejects.toBe('gone');
    expect(available([a, c])).toEqual([1, 1]);
    held.release();
    (await acquireAll(locks, { timeoutMs: 0 })).release();
  });

  it('takes a lock once that is given twice, for writing if it is to be written anywhere', async () => {
    const [a, b] = makeLocks();
    const all = await acquireAll([{ lock: a, mode: 'shared' }, { lock: b, mode: 'shared' }, a]);
    expect(all.holds.map(({ name, mode }) => `${name} ${mode}`)).toEqual(['a exclusive', 'b shared']);
    expect(b.tryAcquire({ mode: 'shared' })?.release()).toBe(true);
    all.release();
  });

  it('tells of the loss of any of them', async () => {
    const locks = makeLocks();
    const all = await acquireAll(locks);
    const { signal } = all;
    await locks[1].store.close?.();
    expect(signal.aborted).toBe(true);
    expect(all.release()).toBe(false);
  });

  it('refuses what is no lock', async () => {
    await expect(acquireAll(['a'] as never)).rejects.toBeInstanceOf(TypeError);
    await expect(acquireAll([], { timeoutMs: -1 })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
  });
});
