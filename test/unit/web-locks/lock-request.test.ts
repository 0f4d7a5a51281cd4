// What LockManager.request() does with its arguments: which it accepts, in which order it looks at them, and with which
// error it refuses each. All of it comes back through the promise: nothing is thrown.

import { describe, expect, it } from 'vitest';

import { createLocks, LockManager } from '../../../src/web-locks/lock-manager.js';
import { failure } from '../../support/failure.js';
import { scratchNamespace } from '../../support/shm.js';

const locks = createLocks({ namespace: scratchNamespace() });
const request = (...given: unknown[]) => locks.request(...(given as [string, () => unknown]));
const never = () => expect.unreachable('the callback was called');

/** How a request with these arguments fails. */
async function refusal(...given: unknown[]): Promise<unknown> {
  const promise = request(...given);
  expect(promise).toBeInstanceOf(Promise);
  return promise.then(
    () => expect.unreachable('it was accepted'),
    (error: unknown) => error,
  );
}

async function notSupported(...given: unknown[]): Promise<void> {
  const error = await refusal(...given);
  expect(error).toBeInstanceOf(DOMException);
  expect((error as DOMException).name).toBe('NotSupportedError');
}

describe('the callback', () => {
  it.each([[], ['x'], ['x', undefined], ['x', null], ['x', 123], ['x', 'abc'], ['x', []], ['x', {}]])(
    'is missing in request(%j, %j): a TypeError',
    async (...given) => {
      expect(await refusal(...given)).toBeInstanceOf(TypeError);
    },
  );

  it.each([undefined, null, {}, 'abc', Promise.resolve()])('after options cannot be %j', async (callback) => {
    expect(await refusal('x', {}, callback)).toBeInstanceOf(TypeError);
    expect(await refusal('x', never, callback)).toBeInstanceOf(TypeError);
  });

  it('comes last; what follows it is ignored', async () => {
    expect(await request('x', () => 1)).toBe(1);
    expect(await request('x', undefined, () => 2, 'more')).toBe(2);
    expect(await request('x', null, () => 3)).toBe(3);
    expect(await request('x', never, () => 4)).toBe(4); // a function is an object, so these are options
  });

  it('is called without a this, and with the lock alone', async () => {
    const called = await request('x', function (this: unknown, ...given: unknown[]) {
      return { self: this, count: given.length };
    });
    expect(called).toEqual({ self: undefined, count: 1 });
  });
});

describe('the name', () => {
  it.each([
    [7, '7'],
    [null, 'null'],
    [undefined, 'undefined'],
    [['a', 'b'], 'a,b'],
    [{ toString: () => 'told', valueOf: (): string => 'not told' }, 'told'],
  ])('%j becomes a string', async (name, text) => {
    expect(await request(name, ({ name: granted }: { name: string }) => granted)).toBe(text);
  });

  it('that cannot become one is refused, with its own error', async () => {
    expect(await refusal(Symbol('x'), never)).toBeInstanceOf(TypeError);
    const mine = new Error('mine');
    const name = {
      toString() {
        throw mine;
      },
    };
    expect(await refusal(name, never)).toBe(mine);
  });

  it('that starts with a hyphen is reserved', async () => {
    await notSupported('-', never);
    await notSupported('-x', {}, never);
    expect(await request('x-', () => 1)).toBe(1);
    expect(await request('\u2010x', () => 1)).toBe(1);
  });
});

describe('the options', () => {
  it.each([true, 7, 'shared', 1n, Symbol('x')])('cannot be %s', async (options) => {
    expect(await refusal('x', options, never)).toBeInstanceOf(TypeError);
  });

  it('are read once each, in the order of their names', async () => {
    const read: unknown[] = [];
    const options = new Proxy({}, { get: (_, key) => void read.push(key) });
    await request('x', options, () => 1);
    expect(read).toEqual(['ifAvailable', 'mode', 'permits', 'signal', 'steal', 'timeoutMs']);
  });

  it('are converted as they are read: the first wrong one ends it', async () => {
    const read: unknown[] = [];
    const given: Record<string, unknown> = { mode: 'wrong', signal: 'wrong' };
    const options = new Proxy(given, { get: (_, key: string) => (read.push(key), given[key]) });
    expect(await refusal('x', options, undefined)).toMatchObject({ message: /mode/ });
    expect(read).toEqual(['ifAvailable', 'mode']);
  });

  it('that throw when they are read come back as they are', async () => {
    const mine = new Error('mine');
    const options = {
      get steal() {
        throw mine;
      },
    };
    expect(await refusal('x', options, never)).toBe(mine);
  });

  it('that are unknown, or undefined, do not count', async () => {
    const unset = { mode: undefined, ifAvailable: undefined, steal: undefined, signal: undefined };
    expect(await request('x', { wait: 7, ...unset }, (lock: { mode: string }) => lock.mode)).toBe('exclusive');
  });

  it.each(['foo', '', null, 7, 'Shared'])('have no mode %j', async (mode) => {
    expect(await refusal('x', { mode }, never)).toBeInstanceOf(TypeError);
  });

  it('take anything that becomes the name of a mode', async () => {
    const mode = { toString: () => 'shared' };
    expect(await request('x', { mode }, (lock: { mode: string }) => lock.mode)).toBe('shared');
  });

  it.each([
    ['a string', 'string'],
    ['a number', 12.34],
    ['false', false],
    ['null', null],
    ['an object', {}],
    ['a symbol', Symbol('x')],
    ['a function', () => 1],
    ['a controller', new AbortController()],
    ['the prototype', AbortSignal.prototype],
  ])('take no signal but an AbortSignal, so not %s', async (_, signal) => {
    expect(await refusal('x', { signal }, never)).toBeInstanceOf(TypeError);
  });

  it('take no imitation of an AbortSignal', async () => {
    const signal: unknown = Object.create(AbortSignal.prototype);
    expect(await refusal('x', { signal }, never)).toBeInstanceOf(TypeError);
  });

  it.each([{ permits: 0 }, { permits: '2' }, { permits: 1.5 }, { timeoutMs: -1 }, { timeoutMs: Infinity }])(
    'of our own are checked as everywhere: %j',
    async (options) => {
      expect(await refusal('x', options, never)).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    },
  );
});

describe('options that exclude each other', () => {
  const { signal } = new AbortController();
  it.each([
    { steal: true, ifAvailable: true },
    { steal: 1, ifAvailable: 'yes' },
    { steal: true, mode: 'shared' },
    { steal: true, signal },
    { ifAvailable: true, signal },
    { steal: true, timeoutMs: 1 },
    { ifAvailable: true, timeoutMs: 1 },
  ])('are not supported: %o', (options) => notSupported('x', options, never));

  it('are looked for after all is converted', async () => {
    expect(await refusal('-x', { mode: 'wrong' }, never)).toBeInstanceOf(TypeError);
    expect(await refusal('-x', { steal: true, ifAvailable: true }, undefined)).toBeInstanceOf(TypeError);
  });

  it('are found before the signal is looked at', async () => {
    const aborted = AbortSignal.abort('reason');
    await notSupported('-x', { signal: aborted }, never);
    await notSupported('x', { signal: aborted, steal: true }, never);
    expect(await refusal('x', { signal: aborted }, never)).toBe('reason');
  });
});

describe('the class', () => {
  it('makes no objects by itself', () => {
    const Constructor = LockManager as unknown as new () => LockManager;
    expect(failure(() => new Constructor())).toBeInstanceOf(TypeError);
  });

  it('has the name and the members of the specification', async () => {
    expect(Object.prototype.toString.call(locks)).toBe('[object LockManager]');
    expect(locks).toBeInstanceOf(LockManager);
    expect([LockManager.prototype.request.length, LockManager.prototype.query.length]).toEqual([2, 0]);
    await request('x', (lock: object) => {
      expect(Object.prototype.toString.call(lock)).toBe('[object Lock]');
      const Lock = lock.constructor as new () => object;
      expect(failure(() => new Lock())).toBeInstanceOf(TypeError);
    });
  });

  it('knows its own objects: its methods reject for others', async () => {
    await expect(LockManager.prototype.request.call({} as never, 'x', {}, never)).rejects.toBeInstanceOf(TypeError);
    await expect(LockManager.prototype.query.call({} as never)).rejects.toBeInstanceOf(TypeError);
  });

  it('is made with options that are checked', () => {
    expect(failure(() => createLocks({ namespace: '' }))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    expect(failure(() => createLocks({ name: 'x' } as never))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
  });
});
