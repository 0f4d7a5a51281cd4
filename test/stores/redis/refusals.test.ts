// What becomes of requests that the server refuses or does not get: a clear error, nothing lost, and nothing left locked.

import { Redis } from 'ioredis';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';

import { readFileSync } from 'node:fs';

import { Lock } from '../../../src/lock.js';
import { redisStore, type RedisStoreOptions } from '../../../src/stores/redis/index.js';
import { keyOf } from '../../../src/stores/redis/keys.js';
import { freePort } from '../../support/free-port.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 1_500;
const server = await RedisServer.start();
await server.isOlderThan(leaseMs);
afterAll(() => server.stop());

function lockBy(client: Redis, namespace: string, options: Partial<RedisStoreOptions> = {}): Lock {
  const store = redisStore({ client, leaseMs, ...options });
  onTestFinished(async () => {
    await store.close();
    client.disconnect();
  });
  return new Lock('file', { namespace, store });
}

const connect = (options: object = {}): Redis => {
  const client = new Redis(server.port, options);
  client.on('error', () => undefined);
  return client;
};

async function takeAndGiveBack(lock: Lock): Promise<void> {
  const hold = await lock.acquire({ timeoutMs: 5_000 });
  await hold[Symbol.asyncDispose]();
  expect(hold.lost).toBeUndefined();
}

describe('A request is refused', () => {
  it.each([0, 1])('when no server is there, as the client finds out, with %i replicas', async (syncReplicas) => {
    const printed = vi.spyOn(console, 'error');
    const client = new Redis(await freePort(), { maxRetriesPerRequest: 1, retryStrategy: () => 10 });
    client.on('error', () => undefined);
    const lock = lockBy(client, 'nobody', { syncReplicas });
    await expect(lock.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('did not give the lock "file"') as string,
      cause: expect.any(Error) as Error,
    });
    expect(printed).not.toHaveBeenCalled(); // as by ioredis, where nobody listens to the errors of a connection
  });

  it('when the key is of another type', async () => {
    await server.command('SET', keyOf('semlock', 'taken'), 'mine');
    const lock = lockBy(connect(), 'taken');
    await expect(lock.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('WRONGTYPE') as string,
    });
    await server.command('DEL', keyOf('semlock', 'taken'));
    await takeAndGiveBack(lock);
  });

  it('when the user has no rights', async () => {
    await server.command('ACL', 'SETUSER', 'nobody', 'on', '>x', '~*', '&*', '-@all', '+info', '+ping');
    const lock = lockBy(connect({ username: 'nobody', password: 'x' }), 'no rights');
    await expect(lock.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('NOPERM') as string,
    });
  });

  it('when nobody has said who asks', async () => {
    await server.command('CONFIG', 'SET', 'requirepass', 'secret');
    const lock = lockBy(connect({ enableReadyCheck: false }), 'no password');
    try {
      await expect(lock.acquire()).rejects.toMatchObject({
        code: 'ERR_SEMLOCK_STORE',
        message: expect.stringContaining('NOAUTH') as string,
      });
    } finally {
      const admin = new Redis(server.port, { password: 'secret' });
      await admin.config('SET', 'requirepass', '');
      admin.disconnect();
    }
    await takeAndGiveBack(lock);
  });

  it('when the server has no memory, and what is held can still be given back', async () => {
    const lock = lockBy(connect(), 'full');
    const other = lockBy(connect(), 'full');
    await takeAndGiveBack(other);
    const hold = await lock.acquire();
    await server.command('CONFIG', 'SET', 'maxmemory', '1');
    try {
      await expect(new Lock('another', { namespace: 'full', store: other.store }).acquire()).rejects.toMatchObject({
        code: 'ERR_SEMLOCK_STORE',
        message: expect.stringContaining('OOM') as string,
      });
      await hold[Symbol.asyncDispose]();
      expect(hold.lost).toBeUndefined();
    } finally {
      await server.command('CONFIG', 'SET', 'maxmemory', '0');
    }
    await takeAndGiveBack(other);
  });

  it('when the server has become a replica, until it is none any more', async () => {
    const lock = lockBy(connect(), 'replica');
    await takeAndGiveBack(lock);
    await server.command('REPLICAOF', '127.0.0.1', String(await freePort()));
    try {
      await expect(lock.acquire()).rejects.toMatchObject({
        code: 'ERR_SEMLOCK_STORE',
        message: expect.stringMatching(/READONLY|MASTERDOWN/) as string,
      });
    } finally {
      await server.command('REPLICAOF', 'NO', 'ONE');
    }
    await takeAndGiveBack(lock);
  });

  it('when its script is killed, and the lock is left free', async () => {
    const lock = lockBy(connect(), 'killed script');
    await takeAndGiveBack(lock);
    // So many places in line, of sessions that are dead, that it takes long to pass them all over.
    const line = `local line = {}
      for at = 1, 40000 do line[at] = {'1-0-dead', at, 0, 0} end
      redis.call('HSET', KEYS[1], 'l=file', cmsgpack.pack({1, {}, line, 0, 0}))`;
    await server.command('CONFIG', 'SET', 'lua-time-limit', '1');
    let refused: unknown;
    // On a busy machine the command to kill it may come too late.
    for (let tries = 0; tries < 10 && !(refused instanceof Error); tries += 1) {
      await server.command('EVAL', line, '1', keyOf('semlock', 'killed script'));
      const over = new AbortController();
      const asked = lock.acquire().then(
        (hold) => hold[Symbol.asyncDispose](),
        (error: unknown) => (refused = error),
      );
      void asked.then(() => over.abort());
      while (!over.signal.aborted) await server.command('SCRIPT', 'KILL');
    }
    expect(refused).toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('Script killed by user') as string,
    });
    await server.command('CONFIG', 'SET', 'lua-time-limit', '5000');
    await server.command('HDEL', keyOf('semlock', 'killed script'), 'l=file');
    await takeAndGiveBack(lock);
  });

  it('when too few replicas have the grant, which is given back', async () => {
    const lock = lockBy(connect(), 'replicas', { syncReplicas: 1 });
    await expect(lock.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('0 of 1 replicas') as string,
    });
    await takeAndGiveBack(lockBy(connect(), 'replicas'));
  });
});

describe('A request is granted', () => {
  it('as soon as a server that was started again has loaded its data, and what is held is kept', async () => {
    const slow = ['--key-load-delay', '3000', '--loading-process-events-interval-bytes', '1024'];
    const own = await RedisServer.start(slow);
    onTestFinished(() => own.stop());
    const lease = 5_000;
    await own.isOlderThan(lease);
    const connectOwn = () => {
      const client = new Redis(own.port, {
        enableReadyCheck: false,
        maxRetriesPerRequest: null,
        retryStrategy: () => 20,
      });
      client.on('error', () => undefined);
      return client;
    };
    const lock = lockBy(connectOwn(), 'loading', { leaseMs: lease });
    const hold = await lock.acquire();
    await own.command('EVAL', "for i = 1, 300 do redis.call('SET', 'key' .. i, string.rep('x', 1000)) end", '0');
    await own.command('SAVE');
    await own.kill();
    const started = own.start();
    await expect.poll(() => own.command('PING').catch(String), { interval: 10 }).toMatch(/^-LOADING/);
    const next = new Lock('another', { namespace: 'loading', store: lock.store }).acquire();
    await expect(lockBy(connectOwn(), 'new', { leaseMs: lease }).acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('LOADING') as string,
    });
    await started;
    await (await next)[Symbol.asyncDispose]();
    expect(hold.lost).toBeUndefined();
    await hold[Symbol.asyncDispose]();
  });

  it('as soon as a script of somebody else that does not end was killed', async () => {
    const lock = lockBy(connect(), 'busy server');
    await takeAndGiveBack(lock);
    await server.command('CONFIG', 'SET', 'lua-time-limit', '20');
    const endless = server.command('EVAL', 'while true do end', '0');
    await expect.poll(() => server.command('PING')).toMatch(/^-BUSY/);
    const waiting = takeAndGiveBack(lock);
    await new Promise((resolve) => setTimeout(resolve, 100)); // it is told that the server is busy
    expect(await server.command('SCRIPT', 'KILL')).toMatch(/^\+OK/);
    await waiting;
    expect(await endless).toContain('Script killed');
    await server.command('CONFIG', 'SET', 'lua-time-limit', '5000');
  });

  it('to a user with the rights of the document', async () => {
    const page = readFileSync(new URL('../../../docs/stores/redis.md', import.meta.url), 'utf8');
    const rule = /^ACL SETUSER .*$/m.exec(page)![0];
    expect(await server.command(...rule.split(' '))).toMatch(/^\+OK/);
    const options = { username: 'semlock', password: 'secret' };
    const [lock, other] = [lockBy(connect(options), 'rights'), lockBy(connect(options), 'rights')];
    const hold = await lock.acquire();
    const waiting = other.acquire();
    await new Promise((resolve) => setTimeout(resolve, leaseMs)); // a renewal comes by
    await hold[Symbol.asyncDispose]();
    expect(hold.lost).toBeUndefined();
    await (await waiting)[Symbol.asyncDispose]();
    expect(await lock.store.query!({ namespace: 'rights' })).toEqual({ held: [], pending: [], gaps: [] });
  });

  it('when two replicas have it', async () => {
    const replicaOf = ['--replicaof', '127.0.0.1', String(server.port)];
    const replicas = [await RedisServer.start(replicaOf), await RedisServer.start(replicaOf)];
    onTestFinished(async () => {
      for (const replica of replicas) await replica.stop();
    });
    await expect
      .poll(() => server.command('INFO', 'replication'), { timeout: 20_000 })
      .toMatch(/slave0:.*state=online[^]*slave1:.*state=online/);
    const [lock, other] = [0, 1].map(() => lockBy(connect(), 'synced', { syncReplicas: 2 })) as [Lock, Lock];
    const hold = await lock.acquire();
    const waiting = other.acquire();
    await hold[Symbol.asyncDispose]();
    const next = await waiting;
    expect(next.token).toBeGreaterThan(hold.token);
    await next[Symbol.asyncDispose]();
  });
});

describe('The options', () => {
  it.each([
    [undefined, /client/],
    [{ client: {} }, /"client" must be/],
    [{ client: connect({ lazyConnect: true }), leaseMs: 10 }, /"leaseMs" must be/],
    [{ client: connect({ lazyConnect: true }), prefix: 'a{b}' }, /"prefix" must be without braces/],
    [{ client: connect({ lazyConnect: true }), ttl: 10 }, /unknown option "ttl"/],
  ])('%o are refused', (options, message) => {
    expect(() => redisStore(options as RedisStoreOptions)).toThrow(message);
  });
});
