// The lock objects behind names that are made while the program runs: which of them are kept, and what becomes of the
// others.

import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterEach, describe, expect, it, vi } from 'vitest';

import { KeyedLocks } from '../../../src/keyed-locks.js';
import { StoredLock } from '../../../src/stored-lock.js';
import { addon, type Handle } from '../../../src/native.js';
import { scratchNamespace } from '../../support/shm.js';
import { steal } from '../../support/steal.js';

const namespace = scratchNamespace();
const open = (name: string) => new StoredLock('test', name, { namespace, permits: 1, keyed: true });
const use = (lock: StoredLock) => lock.tryAcquire()?.release();
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

/** From now on notes what is opened in the addon, and is still open. */
function watchHandles(): ReadonlySet<Handle> {
  const handles = new Set<Handle>();
  const native = addon();
  const { lockOpen, lockClose } = native;
  vi.spyOn(native, 'lockOpen').mockImplementation((...lock) => {
    const handle = lockOpen(...lock);
    handles.add(handle);
    return handle;
  });
  vi.spyOn(native, 'lockClose').mockImplementation((handle) => {
    const closed = lockClose(handle);
    if (closed) handles.delete(handle);
    return closed;
  });
  return handles;
}

/** Uses so many other names that none of the earlier ones is kept. */
function crowdOut(locks: KeyedLocks<StoredLock>): void {
  for (const number of numbers(8)) use(locks.get(`other ${number}`));
}

afterEach(() => void vi.restoreAllMocks());

describe('The lock objects of computed names', () => {
  it('are kept for those used last, and made anew for the others', () => {
    const opened: string[] = [];
    const locks = new KeyedLocks((name) => {
      opened.push(name);
      return { close: () => undefined };
    }, 2);
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) locks.get(name);

    expect(opened).toEqual(['a', 'b', 'c', 'b']);
  });

  it('are closed as soon as they are not kept any more', () => {
    const handles = watchHandles();
    const locks = new KeyedLocks(open, 4);
    for (const number of numbers(500)) use(locks.get(`name ${number}`));

    expect(handles.size).toBeLessThanOrEqual(4);
  });

  it('would stay open without that, until the garbage is collected', () => {
    const handles = watchHandles();
    const kept = numbers(500).map((number) => open(`name ${number}`));
    kept.forEach(use);

    expect(handles.size).toBe(500);
  });

  it('are closed when nobody refers to the whole cache any more', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const handles = watchHandles();
    (() => {
      const locks = new KeyedLocks(open, 400);
      for (const number of numbers(300)) use(locks.get(`name ${number}`));
    })();
    expect(handles.size).toBe(300);
    for (let round = 0; round < 50 && handles.size > 0; round += 1) {
      collect();
      await sleep(1); // finalizers run between
    }

    expect(handles.size).toBe(0);
  });

  it('stay as they are while they are held', () => {
    const locks = new KeyedLocks(open, 4);
    const held = locks.get('held').tryAcquire();
    crowdOut(locks);

    expect(open('held').tryAcquire()).toBeNull();
    expect(held?.release()).toBe(true);
    expect(use(open('held'))).toBe(true);
  });

  it('stay as they are while somebody waits for them', async () => {
    const locks = new KeyedLocks(open, 4);
    const before = open('awaited').tryAcquire();
    const waiting = locks.get('awaited').acquire({ timeoutMs: 10_000 });
    crowdOut(locks);
    before?.release();
    const held = await waiting;

    expect(open('awaited').tryAcquire()).toBeNull();
    expect(held.release()).toBe(true);
  });

  it('stay usable for those who still have them', () => {
    const locks = new KeyedLocks(open, 4);
    const lock = locks.get('used again');
    use(lock);
    crowdOut(locks);
    const held = lock.tryAcquire();

    expect(held).not.toBeNull();
    expect(open('used again').tryAcquire()).toBeNull();
    expect(held?.release()).toBe(true);
  });

  it('tell of a theft, also when they were closed before anybody knew of it', async () => {
    const locks = new KeyedLocks(open, 4);
    const robbed = locks.get('stolen').tryAcquire();
    const thief = await steal(open('stolen'));
    expect(thief?.release()).toBe(true);
    crowdOut(locks);
    const next = open('stolen').tryAcquire();

    expect(robbed?.release()).toBe(false);
    expect(robbed?.signal.aborted).toBe(true);
    expect(next?.release()).toBe(true);
  });

  it('may be those of a store that gives one object again and again', () => {
    const only = open('only');
    const caches = [new KeyedLocks(() => only, 4), new KeyedLocks(() => only, 4)];
    for (const locks of caches) {
      use(locks.get('only'));
      crowdOut(locks);
    }

    expect(use(only)).toBe(true);
  });
});
