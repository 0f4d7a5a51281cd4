// What clients see is the same in every framework.

import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { scratchNamespace } from '../../support/shm.js';
import { frameworks, type Options, type Work } from './servers.js';

describe.each(frameworks)('In $name', ({ serve }) => {
  /** A server whose handler works until it is told to go on. */
  async function start(options: Partial<Options> = {}, answer: Awaited<ReturnType<Work>> = 'done') {
    const namespace = scratchNamespace();
    const [began, goOn] = [deferred(), deferred()];
    let calls = 0;
    const url = await serve({ namespace, ...options }, async () => {
      calls += 1;
      began.resolve();
      await goOn.promise;
      return answer;
    });
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

  it('the holder knows its token', async () => {
    const namespace = scratchNamespace();
    let token: number | undefined;
    const url = await serve({ namespace }, (_url, given) => {
      token = given;
      return Promise.resolve('done');
    });
    await fetch(url);
    expect(token).toBeGreaterThan(0);
  });

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
});
