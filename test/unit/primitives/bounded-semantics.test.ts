// What CPython tests of multiprocessing.Lock, BoundedSemaphore and Semaphore, asked of their counterparts here: the
// values on the way down and up, a refused try at 0, and a release too many.

import { describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { Held } from '../../../src/hold.js';
import { Semaphore } from '../../../src/semaphore.js';
import { ThreadLock } from '../../../src/primitives/thread-lock.js';
import { failure } from '../../support/failure.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const otherNamespace = scratchNamespace();

/** Takes all that is free at this moment, gives it back, and says how much it was. */
function freePermits(lock: { tryAcquire(): Held | null }): number {
  const taken: Held[] = [];
  for (let held = lock.tryAcquire(); held !== null; held = lock.tryAcquire()) taken.push(held);
  for (const held of taken) held.release();
  return taken.length;
}

const mutexes: [string, (name: string) => { tryAcquire(): Held | null }][] = [
  ['Lock', (name) => new Lock(name, { namespace })],
  ['Semaphore of one permit', (name) => new Semaphore(name, { permits: 1, namespace })],
  ['ThreadLock', (name) => new ThreadLock(`${namespace} ${name}`)],
];

describe.each(mutexes)('%s, as a mutex', (kind, make) => {
  it('is had by one holder at a time', () => {
    const lock = make(`${kind} once`);
    const held = lock.tryAcquire();
    expect(held).not.toBeNull();
    expect(lock.tryAcquire()).toBeNull();
    expect(held!.release()).toBe(true);
    expect(freePermits(lock)).toBe(1);
  });

  it('is the same lock under the same name', () => {
    const held = make(`${kind} same`).tryAcquire();
    expect(make(`${kind} same`).tryAcquire()).toBeNull();
    held!.release();
    expect(freePermits(make(`${kind} same`))).toBe(1);
  });

  it('is another lock under another name', () => {
    using held = make(`${kind} one`).tryAcquire()!;
    expect(held.released).toBe(false);
    expect(freePermits(make(`${kind} other`))).toBe(1);
  });

  it('gives nothing for a second release', () => {
    const lock = make(`${kind} twice`);
    const held = lock.tryAcquire()!;
    expect(held.release()).toBe(true);
    expect(held.release()).toBe(false);
    expect(held.released).toBe(true);
    expect(freePermits(lock)).toBe(1);
  });

  it('stays with its new holder when the old one releases again', () => {
    const lock = make(`${kind} stale`);
    const old = lock.tryAcquire()!;
    old.release();
    const current = lock.tryAcquire()!;
    expect(old.release()).toBe(false);
    expect(lock.tryAcquire()).toBeNull();
    current.release();
  });

  it('is released at the end of a using block, of either kind', async () => {
    const lock = make(`${kind} using`);
    {
      using _held = lock.tryAcquire();
      expect(lock.tryAcquire()).toBeNull();
    }
    expect(freePermits(lock)).toBe(1);
    {
      await using _held = lock.tryAcquire();
      expect(lock.tryAcquire()).toBeNull();
    }
    expect(freePermits(lock)).toBe(1);
  });
});

describe('Semaphore, as BoundedSemaphore', () => {
  it('goes from 2 free permits to 1, to 0 and back', () => {
    const semaphore = new Semaphore('down and up', { permits: 2, namespace });
    expect(freePermits(semaphore)).toBe(2);
    const first = semaphore.tryAcquire()!;
    expect(freePermits(semaphore)).toBe(1);
    const second = semaphore.tryAcquire()!;
    expect(freePermits(semaphore)).toBe(0);
    expect(semaphore.tryAcquire()).toBeNull();
    first.release();
    expect(freePermits(semaphore)).toBe(1);
    second.release();
    expect(freePermits(semaphore)).toBe(2);
  });

  it('never has more free permits than it was given, however often one is released', () => {
    const semaphore = new Semaphore('bounded', { permits: 2, namespace });
    const held = semaphore.tryAcquire()!;
    held.release();
    held.release();
    held.release();
    expect(freePermits(semaphore)).toBe(2);
  });

  it.each([1, 3, 100])('has %i permits when it is given that many', (permits) => {
    expect(freePermits(new Semaphore(`permits ${permits}`, { permits, namespace }))).toBe(permits);
  });

  it.each([undefined, 0, -1, 1.5, 1025, '2', null])('cannot have %s permits', (permits) => {
    expect(failure(() => new Semaphore('wrong', { permits, namespace } as never))).toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
      message: expect.stringContaining('"permits" must be a whole number from 1 to 1024'),
    });
  });
});

describe('run', () => {
  it('gives back what the work returned, and the permit', async () => {
    const lock = new Lock('run', { namespace });
    const result = await lock.run(() => {
      expect(lock.tryAcquire()).toBeNull();
      return Promise.resolve(42);
    });
    expect(result).toBe(42);
    expect(freePermits(lock)).toBe(1);
  });

  it.each<[string, () => Promise<never>]>([
    [
      'throws',
      () => {
        throw new Error('work failed');
      },
    ],
    ['rejects', () => Promise.reject(new Error('work failed'))],
  ])('releases when the work %s, and passes the error on', async (_how, work) => {
    const lock = new Lock('run that fails', { namespace });
    await expect(lock.run(work)).rejects.toThrow('work failed');
    expect(freePermits(lock)).toBe(1);
  });

  it.each([0, 20])('does not call the work when the lock was held for timeoutMs: %i', async (timeoutMs) => {
    const lock = new Lock('run while held', { namespace });
    using _held = lock.tryAcquire();
    await expect(lock.run(() => expect.unreachable(), { timeoutMs })).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_TIMEOUT',
      message: expect.stringContaining(`the lock "run while held" was not free within ${timeoutMs} ms`) as string,
      lockName: 'run while held',
    });
  });

  it('waits for the lock when it is given no time', async () => {
    const lock = new Lock('run later', { namespace });
    const held = lock.tryAcquire()!;
    let ran = false;
    const running = lock.run(() => (ran = true));
    await new Promise(setImmediate);
    expect(ran).toBe(false);
    held.release();
    await expect(running).resolves.toBe(true);
  });
});

describe('the arguments of Lock', () => {
  it.each([undefined, null, '', 7, {}])('refuse %j as a name', (name) => {
    for (const make of [(given: string) => new Lock(given), (given: string) => new ThreadLock(given)]) {
      expect(failure(() => make(name as never))).toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
    }
  });

  it('take any other string, also lone surrogates, and tell all of them apart', () => {
    const names = [
      '\0',
      '/',
      ' ',
      '-',
      '\ud800',
      '\udc00',
      '\ufffd',
      '🔒',
      'x'.repeat(100_000),
      `${'x'.repeat(99_999)}y`,
    ];
    const held = names.map((name) => new Lock(name, { namespace }).tryAcquire());
    expect(held).not.toContain(null);
    for (const one of held) one?.release();
  });

  it('tell namespaces apart', () => {
    using _held = new Lock('spaces', { namespace }).tryAcquire();
    expect(new Lock('spaces', { namespace }).tryAcquire()).toBeNull();
    expect(freePermits(new Lock('spaces', { namespace: otherNamespace }))).toBe(1);
  });

  it('refuse options that they do not have', () => {
    for (const key of ['waitMs', 'mode', 'permits', 'timeoutMs', 'foreign']) {
      expect(failure(() => new Lock('x', { [key]: 1 }))).toMatchObject({
        code: 'ERR_SEMLOCK_OPTION',
        message: expect.stringContaining(`unknown option "${key}"`),
      });
    }
  });

  it('refuse others with other permits', () => {
    for (const options of [{ namespace }, { namespace, posixName: scratchSemaphore() }]) {
      new Lock('kind', options).tryAcquire()!.release();
      const other = new Semaphore('kind', { ...options, permits: 2 });
      expect(failure(() => other.tryAcquire())).toMatchObject({ code: 'ERR_SEMLOCK_MISMATCH', lockName: 'kind' });
    }
  });

  it('are of the lock of the semaphore where there is a posixName, not of that of the name', () => {
    using _held = new Lock('named', { namespace }).tryAcquire();
    new Lock('named', { namespace, posixName: scratchSemaphore() }).tryAcquire()!.release();
  });

  it('refuse a posixName that is none', () => {
    expect(failure(() => new Lock('x', { posixName: 'x' }))).toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
    expect(failure(() => new Lock('x', { posixName: '' }))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
  });
});
