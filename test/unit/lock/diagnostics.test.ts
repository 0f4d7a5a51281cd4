// What observers of locks are told, on which channel, and that nobody computes anything for observers who are not there.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { channels, type LockMessage } from '../../../src/observe/channels.js';
import { Lock } from '../../../src/lock.js';
import { startHolder } from '../../support/holder.js';
import { runModule } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';
import { steal } from '../../support/steal.js';

const namespace = scratchNamespace();
type Kind = keyof typeof channels;
const kinds = Object.keys(channels) as Kind[];

/** Listens until the test is over. */
function observe(...only: Kind[]) {
  const told: (LockMessage & { kind: Kind })[] = [];
  for (const kind of only.length === 0 ? kinds : only) {
    const listener = (message: unknown) => void told.push({ kind, ...(message as LockMessage) });
    subscribe(`semlock:${kind}`, listener);
    onTestFinished(() => void unsubscribe(`semlock:${kind}`, listener));
  }
  return told;
}

const count = { value: 0 };
const freshLock = () => new Lock(`lock ${(count.value += 1)}`, { namespace });
const about = (lock: Lock, mode: LockMessage['mode'] = 'exclusive') => ({
  name: lock.name,
  namespace,
  mode,
  pid: process.pid,
});
const some = expect.any(Number) as number;

describe('Observers are told', () => {
  it('that a lock was acquired at once, and released, and how long it was held', async () => {
    const lock = freshLock();
    const told = observe();
    const held = lock.tryAcquire()!;
    await delay(20);
    held.release();
    expect(told).toEqual([
      { kind: 'acquired', ...about(lock), token: held.token, durationMs: 0 },
      { kind: 'released', ...about(lock), token: held.token, durationMs: some },
    ]);
    expect(told[1]!.durationMs).toBeGreaterThan(15);
  });

  it('nothing of a release that changes nothing', () => {
    const lock = freshLock();
    const held = lock.tryAcquire()!;
    held.release();
    const told = observe();
    held.release();
    expect(told).toEqual([]);
  });

  it('that a lock is busy, by every way to try', async () => {
    const lock = freshLock();
    using _held = lock.tryAcquire();
    const told = observe();
    lock.tryAcquire();
    lock.acquireSync({ timeoutMs: 0 });
    await lock.acquire({ timeoutMs: 0 }).catch(() => undefined);
    const busy = { kind: 'busy', ...about(lock), token: undefined, durationMs: 0 };
    expect(told).toEqual([busy, busy, busy]);
  });

  it('that a wait is over with the lock, and how long it took', async () => {
    const lock = freshLock();
    const elsewhere = lock.tryAcquire()!;
    const told = observe('acquired', 'busy', 'waited');
    const waiting = lock.acquire();
    await delay(20);
    elsewhere.release();
    const { token } = await waiting;
    expect(told).toEqual([
      { kind: 'acquired', ...about(lock), token, durationMs: some },
      { kind: 'waited', ...about(lock), token, durationMs: some },
    ]);
    for (const { durationMs } of told) expect(durationMs).toBeGreaterThan(15);
  });

  it.each<[string, (lock: Lock) => unknown]>([
    ['acquire()', (lock) => lock.acquire({ timeoutMs: 20 }).catch(() => undefined)],
    ['acquireSync()', (lock) => lock.acquireSync({ timeoutMs: 20 })],
  ])('that a wait is over without the lock, because its time was (%s)', async (_how, wait) => {
    const lock = freshLock();
    using _held = lock.tryAcquire();
    const told = observe();
    await wait(lock);
    expect(told).toEqual([
      { kind: 'busy', ...about(lock), token: undefined, durationMs: some },
      { kind: 'waited', ...about(lock), token: undefined, durationMs: some },
    ]);
    for (const { durationMs } of told) expect(durationMs).toBeGreaterThan(15);
  });

  it('that a wait is over because it was given up, which is no refusal', async () => {
    const lock = freshLock();
    using _held = lock.tryAcquire();
    const told = observe();
    const leaving = new AbortController();
    const waiting = lock.acquire({ signal: leaving.signal });
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    expect(told).toEqual([{ kind: 'waited', ...about(lock), token: undefined, durationMs: some }]);
  });

  it('the mode', async () => {
    const lock = freshLock();
    const told = observe();
    using _reader = lock.tryAcquire({ mode: 'shared' });
    lock.tryAcquire();
    await lock.acquire({ mode: 'shared' });
    expect(told.map(({ kind, mode }) => `${kind} ${mode}`)).toEqual([
      'acquired shared',
      'busy exclusive',
      'acquired shared',
    ]);
  });

  it('that a lock was abandoned by a holder that died', async () => {
    const lock = freshLock();
    const holder = await startHolder(lock.name, { namespace });
    await holder.die();
    const told = observe();
    using held = (await lock.acquire()) as Disposable & { token: number };
    expect(told).toMatchObject([
      { kind: 'acquired', ...about(lock), token: held.token },
      { kind: 'abandoned', ...about(lock), token: held.token },
    ]);
  });

  it('that a lock was stolen, once', async () => {
    const lock = freshLock();
    const told = observe('lost', 'released');
    const robbed = lock.tryAcquire()!;
    const thief = (await steal(lock))!;
    expect(robbed.signal.aborted).toBe(true);
    robbed.release();
    expect(told).toEqual([
      { kind: 'lost', ...about(lock), token: robbed.token, durationMs: some, reason: robbed.lost },
    ]);

    thief.release();
    expect(told).toMatchObject([{ kind: 'lost' }, { kind: 'released', token: thief.token }]);
  });

  it('that another process stole a lock, at once, with nothing else to notice it by', async () => {
    const lock = freshLock();
    const told = observe('lost');
    const robbed = lock.tryAcquire()!;
    const { stderr } = runModule(
      `import { createLocks } from 'semlock';
       const [name, namespace] = process.argv.slice(1);
       await createLocks({ namespace }).request(name, { steal: true }, () => undefined);`,
      [lock.name, namespace],
    );
    expect(stderr).toBe('');
    await expect
      .poll(() => told)
      .toMatchObject([{ kind: 'lost', ...about(lock), token: robbed.token, durationMs: some }]);
    expect(told).toMatchObject([{ reason: { code: 'ERR_SEMLOCK_LOST' } }]);
  });

  it('that a lock was stolen, at the latest when its late release changes nothing', async () => {
    const lock = freshLock();
    const robbed = lock.tryAcquire()!;
    using _thief = (await steal(lock))!;
    const told = observe();
    robbed.release();
    expect(told).toEqual([
      { kind: 'lost', ...about(lock), token: robbed.token, durationMs: undefined, reason: robbed.lost },
    ]);
    expect(robbed.signal.aborted).toBe(true);
  });
});

describe('Without observers', () => {
  it('no time is measured, and observers who come later are told no time', async () => {
    const now = vi.spyOn(performance, 'now');
    onTestFinished(() => {
      now.mockRestore();
    });
    const lock = freshLock();
    const held = lock.tryAcquire()!;
    lock.tryAcquire();
    const waiting = lock.acquire();
    held.release();
    const next = await waiting;
    expect(now).not.toHaveBeenCalled();

    const told = observe();
    next.release();
    expect(told).toEqual([{ kind: 'released', ...about(lock), token: next.token, durationMs: undefined }]);
  });

  it('no message is made', () => {
    const spies = kinds.map((kind) => vi.spyOn(channels[kind], 'publish'));
    onTestFinished(() => {
      for (const spy of spies) spy.mockRestore();
    });
    const lock = freshLock();
    lock.tryAcquire()!.release();
    for (const spy of spies) expect(spy).not.toHaveBeenCalled();
  });
});

describe('An observer that throws', () => {
  it('does not come between a lock and its holder', async () => {
    const failed = new Promise((resolve) => process.once('uncaughtException', resolve));
    const listener = () => {
      throw new Error('a bad observer');
    };
    subscribe('semlock:acquired', listener);
    onTestFinished(() => void unsubscribe('semlock:acquired', listener));
    const lock = freshLock();
    expect(lock.tryAcquire()!.release()).toBe(true);
    unsubscribe('semlock:acquired', listener);
    await expect(failed).resolves.toMatchObject({ message: 'a bad observer' });
  });
});
