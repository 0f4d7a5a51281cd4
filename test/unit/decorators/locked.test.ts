import { describe, expect, it } from 'vitest';

import { Locked } from '../../../src/decorators/locked.js';
import { Lock } from '../../../src/lock.js';
import { Semaphore } from '../../../src/semaphore.js';
import { deferred } from '../../support/deferred.js';
import { scratchNamespace } from '../../support/shm.js';
import { flavour, type AnyDecorator } from './flavour.js';

const namespace = scratchNamespace();
const isFree = (name: string): boolean => new Lock(name, { namespace }).tryAcquire()?.release() ?? false;
const busy = (lockName: string) => ({ name: 'SemlockError', code: 'ERR_SEMLOCK_BUSY', lockName });

describe(`@Locked(), compiled to the ${flavour} flavour`, () => {
  it('holds the lock until the promise of the method resolves, and gives its value', async () => {
    const work = deferred<string>();
    class Ledger {
      @Locked('resolves', { namespace })
      async rewrite(): Promise<string> {
        return work.promise;
      }
    }
    const call = new Ledger().rewrite();
    expect(isFree('resolves')).toBe(false);
    work.resolve('done');
    await expect(call).resolves.toBe('done');
    expect(isFree('resolves')).toBe(true);
  });

  it('holds the lock until the promise of the method rejects, and rejects with its reason', async () => {
    const work = deferred<string>();
    class Ledger {
      @Locked('rejects', { namespace })
      async rewrite(): Promise<string> {
        return work.promise;
      }
    }
    const call = new Ledger().rewrite();
    expect(isFree('rejects')).toBe(false);
    work.reject(new RangeError('no such account'));
    await expect(call).rejects.toEqual(new RangeError('no such account'));
    expect(isFree('rejects')).toBe(true);
  });

  it('turns what a method throws at once into a rejection, with the lock released', async () => {
    class Ledger {
      @Locked('throws', { namespace })
      rewrite(): Promise<void> {
        throw new RangeError('no such account');
      }
    }
    await expect(new Ledger().rewrite()).rejects.toEqual(new RangeError('no such account'));
    expect(isFree('throws')).toBe(true);
  });

  it('rejects while the lock is held elsewhere, and does not call the method', async () => {
    let calls = 0;
    class Ledger {
      @Locked('elsewhere', { namespace })
      rewrite(): Promise<void> {
        calls++;
        return Promise.resolve();
      }
    }
    const held = new Lock('elsewhere', { namespace }).tryAcquire();
    await expect(new Ledger().rewrite()).rejects.toMatchObject(busy('elsewhere'));
    expect(calls).toBe(0);
    held?.release();
    await new Ledger().rewrite();
    expect(calls).toBe(1);
  });

  it('lets one of several calls at once through, where the bare method lets all of them overlap', async () => {
    let inside = 0;
    let most = 0;
    class Ledger {
      async bare(): Promise<void> {
        most = Math.max(most, ++inside);
        await new Promise(setImmediate);
        inside--;
      }
      @Locked('overlap', { namespace })
      async rewrite(): Promise<void> {
        await this.bare();
      }
    }
    const ledger = new Ledger();
    await Promise.all([ledger.bare(), ledger.bare(), ledger.bare()]);
    expect(most).toBe(3);

    most = 0;
    const results = await Promise.allSettled([ledger.rewrite(), ledger.rewrite(), ledger.rewrite()]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(most).toBe(1);
  });

  it('skips a call where it is told to, and keeps the lock for its time', async () => {
    let calls = 0;
    class Jobs {
      @Locked('skips', { namespace, onBusy: 'skip', atLeastMs: 50 })
      async run(): Promise<void> {
        calls++;
        return Promise.resolve();
      }
      @Locked('skips', { namespace, onBusy: 'skip', waitMs: 10 })
      async waits(): Promise<void> {
        return this.run();
      }
    }
    const jobs = new Jobs();
    await jobs.run();
    await Promise.all([jobs.run(), jobs.waits()]);
    expect(calls).toBe(1);
    await expect.poll(() => isFree('skips')).toBe(true);
  });

  it('takes the lock of a file, or those of several, that a call names', async () => {
    const held = (...files: string[]) => files.map((file) => new Lock({ file }).tryAcquire()?.release() !== true);
    const [a, b] = ['/tmp/semlock-a', '/tmp/semlock-b'];
    class Files {
      @Locked({ file: (path: string) => path })
      async write(_path: string): Promise<boolean[]> {
        return Promise.resolve(held(a, b));
      }
      @Locked({ files: (from: string, to: string) => [from, to] })
      async copy(_from: string, _to: string): Promise<boolean[]> {
        return Promise.resolve(held(a, b));
      }
    }
    const files = new Files();
    expect(await files.write('/tmp/../tmp/semlock-a')).toEqual([true, false]);
    expect(await files.copy(b, a)).toEqual([true, true]);
    expect(await files.copy(a, a)).toEqual([true, false]);
    const elsewhere = new Lock({ file: b }).tryAcquire();
    await expect(files.copy(a, b)).rejects.toMatchObject(busy(b));
    expect(held(a, b)).toEqual([false, true]);
    elsewhere?.release();
    const wrong = expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }) as Error;
    expect(() => Locked({ file: a }, { namespace })).toThrow(wrong);
    expect(() => Locked({ files: [] })).toThrow(wrong);
  });

  it('makes the name from the arguments and this of each call', async () => {
    class Accounts {
      readonly bank: string;
      constructor(bank: string) {
        this.bank = bank;
      }
      @Locked(
        function (this: Accounts, id: string) {
          return `${this.bank}:${id}`;
        },
        { namespace },
      )
      async whileInside(id: string, names: string[]): Promise<boolean[]> {
        return Promise.resolve(names.map(isFree));
      }
      @Locked((id: string) => `static:${id}`, { namespace })
      static async whileInside(id: string): Promise<boolean> {
        return Promise.resolve(isFree(`static:${id}`));
      }
    }
    await expect(new Accounts('north').whileInside('7', ['north:7', 'north:8', 'south:7'])).resolves.toEqual([
      false,
      true,
      true,
    ]);
    await expect(Accounts.whileInside('7')).resolves.toBe(false);
    expect(isFree('static:7')).toBe(true);
  });

  it('rejects when the name cannot be made, with the error of the function or a bad name', async () => {
    class Accounts {
      @Locked(
        (id: string) => {
          if (id === 'none') throw new RangeError('no such account');
          return id;
        },
        { namespace },
      )
      async close(_id: string): Promise<void> {}
    }
    await expect(new Accounts().close('none')).rejects.toEqual(new RangeError('no such account'));
    await expect(new Accounts().close('')).rejects.toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
  });

  it('lets as many calls through as it has permits', async () => {
    const work = deferred();
    class Thumbnails {
      @Locked('permits', { namespace, permits: 2 })
      async render(): Promise<void> {
        await work.promise;
      }
    }
    const calls = [new Thumbnails().render(), new Thumbnails().render(), new Thumbnails().render()];
    await expect(calls[2]).rejects.toMatchObject(busy('permits'));
    work.resolve();
    await Promise.all(calls.slice(0, 2));
    const free = new Semaphore('permits', { namespace, permits: 2 });
    expect([free.tryAcquire()?.release(), free.tryAcquire()?.release()]).toEqual([true, true]);
  });

  it('waits in turn for waitMs, and calls the method when the lock comes free', async () => {
    const order: string[] = [];
    class Ledger {
      @Locked('in turn', { namespace, waitMs: 10_000 })
      async rewrite(who: string): Promise<string> {
        order.push(`${who} begins`);
        await new Promise(setImmediate);
        order.push(`${who} ends`);
        return who;
      }
    }
    const held = new Lock('in turn', { namespace }).tryAcquire();
    const calls = [new Ledger().rewrite('first'), new Ledger().rewrite('second')];
    await new Promise(setImmediate);
    expect(order).toEqual([]);

    held?.release();
    await expect(Promise.all(calls)).resolves.toEqual(['first', 'second']);
    expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
    expect(isFree('in turn')).toBe(true);
  });

  it('rejects when waitMs has passed, and does not call the method afterwards', async () => {
    let calls = 0;
    class Ledger {
      @Locked('too long', { namespace, waitMs: 20 })
      async rewrite(): Promise<void> {
        calls += 1;
        return Promise.resolve();
      }
    }
    const held = new Lock('too long', { namespace }).tryAcquire();
    await expect(new Ledger().rewrite()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_TIMEOUT', lockName: 'too long' });
    held?.release();
    await new Promise(setImmediate);
    expect(calls).toBe(0);
    expect(isFree('too long')).toBe(true);
  });

  it('starts the method before the call returns when the lock is free, with waitMs too', async () => {
    let started = false;
    class Ledger {
      @Locked('at once', { namespace, waitMs: 1_000 })
      rewrite(): Promise<void> {
        started = true;
        return Promise.resolve();
      }
    }
    const call = new Ledger().rewrite();
    expect(started).toBe(true);
    await call;
  });

  it('lets readers in together, and a writer only without them', async () => {
    const reading = deferred();
    class Ledger {
      @Locked('readers', { namespace, mode: 'shared' })
      async read(): Promise<void> {
        await reading.promise;
      }
      @Locked('readers', { namespace })
      async write(): Promise<void> {}
    }
    const ledger = new Ledger();
    const readers = [ledger.read(), ledger.read()];
    await expect(ledger.write()).rejects.toMatchObject(busy('readers'));
    reading.resolve();
    await expect(Promise.all(readers)).resolves.toHaveLength(2);
    await expect(ledger.write()).resolves.toBeUndefined();
  });

  it('is not reentrant: a method that calls another under the same name is refused', async () => {
    class Ledger {
      @Locked('reentrant', { namespace })
      async outer(): Promise<void> {
        await this.inner();
      }
      @Locked('reentrant', { namespace })
      async inner(): Promise<void> {}
    }
    await expect(new Ledger().outer()).rejects.toMatchObject(busy('reentrant'));
    await expect(new Ledger().inner()).resolves.toBeUndefined();
  });

  it('refuses a generator, whose work would go on without the lock', () => {
    const Misplaced: AnyDecorator = Locked('generator', { namespace });
    const define = () => {
      class Ledger {
        @Misplaced
        *entries() {
          yield 1;
        }
      }
      return Ledger;
    };
    const defineAsync = () => {
      class Ledger {
        @Misplaced
        async *entries() {
          yield await Promise.resolve(1);
        }
      }
      return Ledger;
    };
    expect(define).toThrow(TypeError);
    expect(define).toThrow('@Locked() belongs on a method that returns a promise, but it stands on a generator');
    expect(defineAsync).toThrow(TypeError);
  });
});

describe('the arguments of @Locked() are checked where it is written', () => {
  it.each([
    ['no name', [], 'ERR_SEMLOCK_NAME'],
    ['an empty name', [''], 'ERR_SEMLOCK_NAME'],
    ['no permits', ['x', { permits: 0 }], 'ERR_SEMLOCK_OPTION'],
    ['an unknown option', ['x', { waitMS: 100 }], 'ERR_SEMLOCK_OPTION'],
    ['a wait that is no time', ['x', { waitMs: -1 }], 'ERR_SEMLOCK_OPTION'],
    ['a mode that is none', ['x', { mode: 'read' }], 'ERR_SEMLOCK_OPTION'],
    ['readers of several permits', ['x', { mode: 'shared', permits: 2 }], 'ERR_SEMLOCK_OPTION'],
    ['a POSIX name with a slash too many', ['x', { posixName: '/a/b' }], 'ERR_SEMLOCK_NAME'],
    ['one POSIX name for many names', [(id: string) => id, { posixName: '/ledger' }], 'ERR_SEMLOCK_OPTION'],
  ])('%s', (_what, args, code) => {
    expect(() => (Locked as AnyDecorator)(...args)).toThrow(expect.objectContaining({ name: 'SemlockError', code }));
  });

  it('and @Locked without its parentheses', () => {
    const Bare = Locked as AnyDecorator;
    const define = () => {
      class Target {
        @Bare
        method() {}
      }
      return Target;
    };
    expect(define).toThrow(expect.objectContaining({ name: 'SemlockError' }));
  });
});
