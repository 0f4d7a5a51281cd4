// What clients see is the same in every framework.

import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { fakeStore } from '../../support/fake-store.js';
import { startHolder } from '../../support/holder.js';
import { RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';
import { tinyStore } from '../../support/tiny-store.js';
import { frameworks, type Options, type Work } from './servers.js';

describe.each(frameworks)('In $name', ({ name, serve }) => {
  /** A server whose handler works until it is told to go on. */
  async function start(options: Partial<Options> = {}, answer: Awaited<ReturnType<Work>> = 'done', times = 1) {
    const namespace = scratchNamespace();
    const [began, goOn] = [deferred(), deferred()];
    let calls = 0;
    const work = async () => {
      calls += 1;
      began.resolve();
      await goOn.promise;
      return answer;
    };
    const url = await serve({ namespace, ...options }, work, times);
    const lock = new Lock('default', { namespace });
    const isFree = () => lock.tryAcquire()?.release() === true;
    return { url, began: began.promise, goOn: () => goOn.resolve(), calls: () => calls, isFree, lock };
  }

  it('a request that finds the lock held is told busy, and its handler does not run', async () => {
    const { url, began, goOn, calls } = await start();
    const first = fetch(`${url}/a`);
    await began;
    const second = await fetch(`${url}/b`);
    expect(second.status).toBe(503);
    expect(second.headers.get('retry-after')).toBe('1');
    expect(second.headers.get('cache-control')).toBe('no-store');
    expect(await second.text()).toBe('busy');
    const json = await fetch(`${url}/b`, { headers: { accept: 'application/json' } });
    expect(json.headers.get('content-type')).toMatch('application/problem+json');
    expect(await json.json()).toMatchObject({ status: 503, detail: 'busy' });
    goOn();
    expect(await (await first).text()).toBe('done');
    expect(calls()).toBe(1);
    expect((await fetch(`${url}/c`)).status).toBe(200);
  });

  // A handler of the fetch style gets a request and nothing else.
  if (name !== 'fetch') {
    it('the holder knows its token', async () => {
      const namespace = scratchNamespace();
      let token: number | undefined;
      const url = await serve({ namespace }, (_url, lock) => {
        token = lock?.token;
        return Promise.resolve('done');
      });
      await fetch(url);
      expect(token).toBeGreaterThan(0);
    });
  }

  it('a request that may wait is served in its turn', async () => {
    const { url, began, goOn, calls } = await start({ waitMs: 10_000 });
    const first = fetch(`${url}/a`);
    await began;
    const second = fetch(`${url}/b`);
    goOn();
    expect([(await first).status, (await second).status]).toEqual([200, 200]);
    expect(calls()).toBe(2);
  });

  it('a handler that fails frees the lock', async () => {
    const namespace = scratchNamespace();
    const url = await serve({ namespace }, () => Promise.reject(new Error('it failed')));
    const { status } = await fetch(url);
    expect(status).toBe(500);
    expect(new Lock('default', { namespace }).tryAcquire()).not.toBeNull();
  });

  it('a name that cannot be made is an error, and the handler does not run', async () => {
    const { url, calls } = await start({
      name: () => {
        throw new Error('no name');
      },
    });
    expect((await fetch(url)).status).toBe(500);
    expect(calls()).toBe(0);
  });

  it('each name is a lock of its own, and skipped requests pass without one', async () => {
    const { url, began, goOn } = await start({
      name: (path) => path,
      skip: (path) => path === '/skipped',
    });
    const first = fetch(`${url}/a`);
    await began;
    const others = [fetch(`${url}/b`), fetch(`${url}/skipped`), fetch(`${url}/skipped`)];
    expect((await fetch(`${url}/a`)).status).toBe(503);
    goOn();
    expect((await first).status).toBe(200);
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it('a client that leaves does not free the lock of a handler at work, and its end does', async () => {
    const { url, began, goOn, isFree } = await start();
    const leaving = new AbortController();
    const first = fetch(url, { signal: leaving.signal });
    await began;
    leaving.abort();
    await expect(first).rejects.toThrow('aborted');
    await sleep(100); // so that the server knows it
    expect(isFree()).toBe(false);
    goOn();
    await expect.poll(isFree, { timeout: 10_000 }).toBe(true);
  });

  it('a client that leaves while its request waits has its handler not run', async () => {
    const [waits, gaveUp] = [deferred(), deferred()];
    const acquire = async ({ signal }: { signal?: AbortSignal | undefined }): Promise<never> => {
      waits.resolve();
      await once(signal!, 'abort');
      gaveUp.resolve();
      throw signal!.reason;
    };
    const store = fakeStore({ trySync: () => null, acquire });
    const { url, calls } = await start({ store, waitMs: 60_000 });
    const leaving = new AbortController();
    const request = fetch(url, { signal: leaving.signal });
    await waits.promise;
    leaving.abort();
    await expect(request).rejects.toThrow('aborted');
    await gaveUp.promise;
    expect(calls()).toBe(0);
  });

  it('a request that meets its lock again passes, and has it until it is answered', async () => {
    const { url, began, goOn, isFree } = await start({}, 'done', 3);
    const answer = fetch(url);
    await began;
    expect(isFree()).toBe(false);
    expect((await fetch(url)).status).toBe(503);
    goOn();
    expect(await (await answer).text()).toBe('done');
    expect(isFree()).toBe(true);
  });

  it('the lock of a process that was killed is free, and its next holder is told', async () => {
    const namespace = scratchNamespace();
    const abandoned: (boolean | undefined)[] = [];
    const url = await serve({ namespace }, (_url, lock) => {
      abandoned.push(lock?.abandoned);
      return Promise.resolve('done');
    });
    const holder = await startHolder('default', { namespace });
    expect((await fetch(url)).status).toBe(503);
    await holder.die();
    for (let times = 0; times < 2; times += 1) expect((await fetch(url)).status).toBe(200);
    expect(abandoned).toEqual(name === 'fetch' ? [undefined, undefined] : [true, false]);
  });

  it('a lock that cannot be had at all is an error with the status 503, and the handler does not run', async () => {
    const store = fakeStore({
      trySync: () => {
        throw new Error('the store is down');
      },
    });
    const { url, calls } = await start({ store });
    const { status, headers } = await fetch(url);
    expect([status, headers.get('retry-after')]).toEqual([503, null]);
    expect(calls()).toBe(0);
  });

  it('a client that reads nothing of its answer is disconnected, and the lock is free', async () => {
    const piece = 'x'.repeat(1_000_000);
    async function* endless() {
      for (;;) {
        yield piece;
        await Promise.resolve();
      }
    }
    const { url, began, goOn, isFree } = await start({ stallMs: 500 }, endless());
    const client = new RawClient(Number(new URL(url).port)).get();
    client.socket.pause();
    await began;
    expect(isFree()).toBe(false);
    goOn();
    await expect.poll(isFree, { timeout: 15_000 }).toBe(true);
  });

  it('the lock is held until a streamed body is through, and free when the client has it', async () => {
    const more = deferred();
    async function* pieces() {
      yield 'first ';
      await more.promise;
      yield 'last';
    }
    const { url, goOn, isFree } = await start({}, pieces());
    goOn();
    const reader = (await fetch(url)).body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value, 'pieces pass at once').toBe('first ');
    expect(isFree()).toBe(false);
    more.resolve();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    expect(rest).toBe('last');
    expect(isFree()).toBe(true);
  });

  it('a client that stops reading in the middle frees the lock when the body is torn down', async () => {
    async function* endless() {
      for (;;) {
        yield 'x'.repeat(1_000);
        await sleep(1);
      }
    }
    const { url, goOn, isFree } = await start({}, endless());
    goOn();
    const reader = (await fetch(url)).body!.getReader();
    await reader.read();
    expect(isFree()).toBe(false);
    await reader.cancel();
    await expect.poll(isFree, { timeout: 10_000 }).toBe(true);
  });

  it.each(['a text', 'pieces'])('%s ends when a store that takes its time has freed the lock', async (what) => {
    const store = tinyStore(50);
    const lock = new Lock('default', { namespace: 'test', store });
    const url = await serve({ namespace: 'test', store }, () =>
      Promise.resolve(what === 'a text' ? 'done' : Readable.from(['do', 'ne'])),
    );
    for (let times = 0; times < 2; times += 1) {
      expect(await (await fetch(url)).text()).toBe('done');
      expect(await lock.run(() => 'free', { timeoutMs: 0 })).toBe('free');
    }
  });

  it('the lock of a file, and of several, is that of the files', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-files-')));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const held = (...files: string[]) =>
      files.map((file) => new Lock({ file: join(folder, file) }).tryAcquire()?.release() === undefined);
    const during: (boolean[] | string | undefined)[] = [];
    const answer: Work = (_url, lock) => {
      during.push(held('a', 'b', 'c'));
      if (name !== 'fetch') during.push(lock?.name.replaceAll(folder, ''));
      return Promise.resolve('done');
    };
    const one = await serve({ file: (url) => join(folder, '.', url) }, answer);
    const both = await serve({ files: (url) => [join(folder, url), join(folder, 'a'), join(folder, 'a')] }, answer);
    expect(await (await fetch(`${one}/a`)).text()).toBe('done');
    expect(await (await fetch(`${both}/b`)).text()).toBe('done');
    const names = name === 'fetch' ? [] : ['/a', '/a, /b'];
    expect(during).toEqual([[true, false, false], names[0], [true, true, false], names[1]].filter(Boolean));
    expect(held('a', 'b')).toEqual([false, false]);

    const elsewhere = new Lock({ file: join(folder, 'b') }).tryAcquire()!;
    expect((await fetch(`${both}/b`)).status).toBe(503);
    expect(held('a', 'b'), 'all or nothing').toEqual([false, true]);
    expect((await fetch(`${both}/c`)).status).toBe(200);
    elsewhere.release();
    expect((await fetch(`${both}/b`)).status).toBe(200);
  });
});
