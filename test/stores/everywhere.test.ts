// Whatever takes a lock takes it from any store, one that has to be asked and answers later too.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';

import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';

import { Locked } from '../../src/decorators/locked.js';
import { fileLock } from '../../src/http/node/file-lock.js';
import { Lock } from '../../src/lock.js';
import { RLock } from '../../src/reentrant-lock.js';
import { Semaphore } from '../../src/semaphore.js';
import type { LockMessage } from '../../src/observe/channels.js';
import { memoryStore } from '../../src/stores/memory/memory-store.js';
import { processStore } from '../../src/stores/process/process-store.js';
import { createLocks } from '../../src/web-locks/lock-manager.js';
import { deferred } from '../support/deferred.js';
import { fakeStore, someGrant } from '../support/fake-store.js';
import { express5App, type Handler } from '../support/http-frameworks.js';
import { steal } from '../support/steal.js';
import { tinyStore } from '../support/tiny-store.js';

const namespace = 'test';

describe.each([memoryStore, () => tinyStore()])('%o', (makeStore) => {
  const store = makeStore();
  const lock = new Lock('file', { namespace, store });
  const take = async () => (await lock.acquire({ ifAvailable: true }))!;

  it('serves Lock, RLock and the Web Locks API: one name is one lock', async () => {
    const hold = await take();
    expect(await new RLock('file', { namespace, store }).acquire({ ifAvailable: true })).toBeNull();
    const locks = createLocks({ namespace, store });
    expect(await locks.request('file', { ifAvailable: true }, (none) => none)).toBeNull();
    await hold[Symbol.asyncDispose]();
    expect(await locks.request('file', { ifAvailable: true }, (held) => held?.name)).toBe('file');
    expect(await lock.run(() => 'ran', { timeoutMs: 0 })).toBe('ran');
  });

  it('serves the HTTP forms', async () => {
    const app = express5App(fileLock('file', { namespace, store }) as Handler, (_req, res) => void res.end('done'));
    const hold = await take();
    await request(app).get('/').expect(503, 'busy');
    await hold[Symbol.asyncDispose]();
    await request(app).get('/').expect(200, 'done');
  });

  it('serves decorated methods', async () => {
    class Reports {
      @Locked('file', { namespace, store })
      async write(): Promise<string> {
        return Promise.resolve((await lock.acquire({ ifAvailable: true })) === null ? 'alone' : 'not alone');
      }
    }
    const hold = await take();
    await expect(new Reports().write()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_BUSY' });
    await hold[Symbol.asyncDispose]();
    expect(await new Reports().write()).toBe('alone');
  });
});

describe.each([processStore, memoryStore(), tinyStore()])('Of the store $name', (store) => {
  it('the channels tell what becomes of a lock', async () => {
    const told: string[] = [];
    for (const event of ['acquired', 'busy', 'waited', 'released', 'lost']) {
      const listener = (message: unknown) => {
        const { name, namespace, mode, token, durationMs } = message as LockMessage;
        if (name === 'channels') told.push(`${event} ${namespace} ${mode} ${typeof token} ${typeof durationMs}`);
      };
      subscribe(`semlock:${event}`, listener);
      onTestFinished(() => void unsubscribe(`semlock:${event}`, listener));
    }
    const lock = new Lock('channels', { namespace, store });
    const hold = (await lock.acquire({ ifAvailable: true }))!;
    expect(await lock.acquire({ ifAvailable: true })).toBeNull();
    await hold[Symbol.asyncDispose]();
    const atOnce = ['acquired test exclusive number number', 'busy test exclusive undefined number'];
    expect(told.splice(0)).toEqual([...atOnce, 'released test exclusive number number']);

    if (store.can.wait) {
      const first = await lock.acquire();
      const second = lock.acquire();
      await expect(lock.acquire({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_TIMEOUT' });
      await first[Symbol.asyncDispose]();
      await (await second)[Symbol.asyncDispose]();
      const waited = (token: string) => `waited test exclusive ${token} number`;
      const had = 'acquired test exclusive number number';
      const released = 'released test exclusive number number';
      const told1 = told.splice(0);
      expect(told1.filter((each) => each.startsWith('waited'))).toEqual(
        expect.arrayContaining([waited('undefined'), waited('number')]),
      );
      expect(told1.filter((each) => !each.startsWith('waited'))).toEqual([had, atOnce[1], released, had, released]);
    }
    if (store.can.steal) {
      const robbed = await lock.acquire();
      const thief = (await steal(lock))!;
      await expect.poll(() => told.filter((each) => each.startsWith('lost'))).toHaveLength(1);
      expect(robbed.release()).toBe(false);
      thief.release();
      expect(told.at(-1)).toBe('released test exclusive number number');
    }
  });
});

describe('What a store cannot do', () => {
  const store = tinyStore();
  const refused = (what: () => unknown) =>
    expect(what).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }));

  it('is refused when a lock is made, where that is known then', () => {
    refused(() => new Semaphore('file', { namespace, permits: 2, store }));
    refused(() => new Lock('file', { namespace, posixName: '/file', store }));
    refused(() => fileLock('file', { store, waitMs: 5 }));
    refused(() => fileLock('file', { store, mode: 'shared' }));
    refused(() => new Lock('file', { store: {} as never }));
  });

  it('is refused with the call that does it, otherwise', async () => {
    const lock = new Lock('file', { namespace, store });
    const code = 'ERR_SEMLOCK_STORE';
    const message =
      /the store "tiny" of the lock "file" .*await acquire\(\{ ifAvailable: true \}\) in place of tryAcquire\(\)/;
    expect(() => lock.tryAcquire()).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
    expect(() => lock.acquireSync()).toThrow(expect.objectContaining({ code }));
    expect(() => lock.available).toThrow(expect.objectContaining({ code }));
    expect(lock.posixName).toBeUndefined();
    await expect(lock.acquire()).rejects.toMatchObject({ code });
    await expect(lock.run(() => undefined)).rejects.toMatchObject({ code });
    await expect(createLocks({ namespace, store }).query()).rejects.toMatchObject({ code });
  });
});

describe('A store that answers a release later', () => {
  const answering = () => {
    const answer = deferred<boolean>();
    const store = fakeStore(
      { acquire: () => Promise.resolve(someGrant), release: () => answer.promise },
      { sync: false },
    );
    return { answer, lock: new Lock('file', { namespace, store }) };
  };

  it('is waited for by run() and `await using`, and by release() not', async () => {
    const { answer, lock } = answering();
    const hold = await lock.acquire();
    expect(hold.release()).toBe(true);
    const settled: string[] = [];
    const run = lock.run(() => 'done').then((result) => settled.push(result));
    const using = (async () => {
      await using _hold = await lock.acquire();
    })().then(() => settled.push('disposed'));
    const again = hold[Symbol.asyncDispose]().then(() => settled.push('released'));
    await new Promise(setImmediate);
    expect(settled).toEqual([]);
    answer.resolve(true);
    await Promise.all([run, using, again]);
    expect(settled.sort()).toEqual(['disposed', 'done', 'released']);
  });

  it('may say that the lock was lost: then run() rejects, unless its work has failed itself', async () => {
    const { answer, lock } = answering();
    answer.resolve(false);
    await expect(lock.run(() => 'done')).rejects.toMatchObject({ code: 'ERR_SEMLOCK_LOST', lockName: 'file' });
    const failed = new RangeError('the work failed');
    await expect(lock.run(() => Promise.reject(failed))).rejects.toBe(failed);
  });

  it('may fail, which is a warning: the work was done', async () => {
    const { answer, lock } = answering();
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    answer.reject(new Error('no connection'));
    expect(await lock.run(() => 'done')).toBe('done');
    expect(await warned).toMatchObject({ code: 'SEMLOCK_RELEASE' });
  });
});
