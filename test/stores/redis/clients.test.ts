// The ways to reach a server beside a client of ioredis and of node-redis, which the conformance suite uses.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { Redis } from 'ioredis';
import { Redis as Valkey } from 'iovalkey';
import { createClient, RESP_TYPES } from 'redis';
import ts from 'typescript';
import { afterAll, expect, it, onTestFinished, vi } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { LockStore } from '../../../src/store.js';
import { connectionOf } from '../../../src/stores/redis/clients.js';
import { redisStore, type RedisClient } from '../../../src/stores/redis/index.js';
import { codeBlocks } from '../../docs/code-blocks.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 1_500;
const server = await RedisServer.start();
await server.isOlderThan(leaseMs);
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends) end();
  await server.stop();
});

function ending<T extends { disconnect(): void }>(client: T): T {
  ends.push(() => client.disconnect());
  return client;
}

/** Two stores of one kind exclude each other, keep what they have for longer than a lease, and hand over by a message. */
async function worksIn(namespace: string, stores: readonly LockStore[], lease = leaseMs): Promise<void> {
  try {
    const [one, two] = stores.map((store) => new Lock('file', { namespace, store })) as [Lock, Lock];
    const hold = await one.acquire();
    expect(await two.acquire({ ifAvailable: true })).toBeNull();
    const waiting = two.acquire();
    await new Promise((resolve) => setTimeout(resolve, 1.5 * lease));
    expect(hold.lost).toBeUndefined();
    const asked = performance.now();
    await hold[Symbol.asyncDispose]();
    const next = await waiting;
    expect(performance.now() - asked).toBeLessThan(1_000); // it was told, and did not find it by asking again
    expect([next.token > hold.token, next.abandoned]).toEqual([true, false]);
    await next[Symbol.asyncDispose]();
  } finally {
    for (const store of stores) await store.close?.();
  }
}

it('a client of iovalkey', () =>
  worksIn(
    'iovalkey',
    [0, 1].map(() => redisStore({ client: ending(new Valkey(server.port)), leaseMs })),
  ));

it('a client that puts a prefix before keys', () =>
  worksIn(
    'prefix',
    [0, 1].map(() => redisStore({ client: ending(new Redis(server.port, { keyPrefix: 'app:' })), leaseMs })),
  ));

const nodeRedis = async (options: object): Promise<RedisClient> => {
  const client = createClient({ url: server.url, ...options });
  ends.push(() => client.isOpen && client.destroy());
  await client.connect();
  return client as unknown as RedisClient;
};
const io = (options: object): RedisClient => ending(new Redis({ port: server.port, ...options }));
const { BLOB_STRING, NUMBER } = RESP_TYPES;
const configured: Record<string, () => RedisClient | Promise<RedisClient>> = {
  'node-redis by RESP2': () => nodeRedis({ RESP: 2 }),
  'node-redis by RESP3': () => nodeRedis({ RESP: 3 }),
  'node-redis with answers of other types': () =>
    nodeRedis({ commandOptions: { typeMapping: { [BLOB_STRING]: Buffer, [NUMBER]: String } } }),
  'node-redis in another database': () => nodeRedis({ database: 3 }),
  'ioredis in another database': () => io({ db: 3 }),
  'ioredis that bundles commands': () => io({ enableAutoPipelining: true }),
  'ioredis with numbers as text': () => io({ stringNumbers: true }),
  'ioredis that connects when it is needed': () => io({ lazyConnect: true }),
};

it.concurrent.each(Object.entries(configured))('a client of %s', async (kind, client) => {
  const lease = 2 * leaseMs; // many do so at once
  await server.isOlderThan(lease);
  const stores = [0, 1].map(async () => redisStore({ client: await client(), leaseMs: lease }));
  await worksIn(kind, await Promise.all(stores), lease);
});

it('a client without a queue of its own, where replicas are waited for', async () => {
  const client = ending(new Redis(server.port, { enableOfflineQueue: false }));
  await once(client, 'ready');
  const store = redisStore({ client, leaseMs, syncReplicas: 1 });
  onTestFinished(() => store.close());
  await expect(new Lock('file', { namespace: 'no queue', store }).acquire()).rejects.toThrow('0 of 1 replicas');
});

it('A client within a transaction gives no lock', async () => {
  const client = ending(new Redis(server.port));
  const store = redisStore({ client, leaseMs });
  onTestFinished(() => store.close());
  const lock = new Lock('file', { namespace: 'transaction', store });
  await (await lock.acquire())[Symbol.asyncDispose]();
  await client.multi({ pipeline: false });
  await expect(lock.acquire()).rejects.toMatchObject({
    code: 'ERR_SEMLOCK_STORE',
    message: expect.stringContaining('transaction (MULTI) open') as string,
  });
  await client.exec();
  await lock.run(() => undefined);
});

it('A client that is closed while its locks are in use: they are lost, and come free', async () => {
  const client = await nodeRedis({});
  const store = redisStore({ client, leaseMs });
  const other = redisStore({ client: io({}), leaseMs });
  onTestFinished(() => other.close());
  const [kept, given] = ['kept', 'given'].map((name) => new Lock(name, { namespace: 'closed', store })) as [Lock, Lock];
  const [lost, hold] = [await kept.acquire(), await given.acquire()];
  const waiting = expect(given.acquire()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_STORE' });
  await expect.poll(async () => (await other.query!({ namespace: 'closed' })).pending.length).toBe(1);
  (client as unknown as { destroy(): void }).destroy();
  await hold[Symbol.asyncDispose]();
  await waiting;
  expect(lost.lost?.code).toBe('ERR_SEMLOCK_LOST');
  for (const name of ['kept', 'given'])
    await new Lock(name, { namespace: 'closed', store: other }).run(() => undefined);
  await store.close();
});

it('an address, by the client that is installed', () =>
  worksIn(
    'url',
    [0, 1].map(() => redisStore({ client: { url: server.url }, leaseMs })),
  ));

it('an adapter to GLIDE, as the document shows it', async () => {
  const page = readFileSync(new URL('../../../docs/stores/redis.md', import.meta.url), 'utf8');
  const shown = codeBlocks('redis.md', page).find(({ code }) => code.includes('customCommand'))!;
  const code = shown.code.replace('redisStore({', `redisStore({ leaseMs: ${leaseMs},`);
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const stores = [];
  for (let count = 0; count < 2; count += 1) {
    const exported = {} as {
      storeOf(client: { customCommand(command: string[]): Promise<unknown> }): LockStore;
      callback(message: { channel: string; message: string; pattern: string }): void;
    };
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- The code of our own document.
    new Function('require', 'exports', outputText)(createRequire(import.meta.url), exported);
    const [client, subscriber] = [ending(new Redis(server.port)), ending(new Redis(server.port))];
    subscriber.on('pmessage', (pattern: string, channel: string, message: string) => {
      exported.callback({ channel, message, pattern });
    });
    await subscriber.psubscribe('semlock:*');
    stores.push(exported.storeOf({ customCommand: ([command, ...args]) => client.call(command!, ...args) }));
  }
  await worksIn('glide', stores);
});

/** Clients whose connections for messages fail the first time. */
const failing = {
  ioredis: () => {
    const subscribe = vi.fn().mockRejectedValueOnce(new Error('not now')).mockResolvedValue(1);
    const subscriber = { on: () => undefined, subscribe, unsubscribe: () => Promise.resolve() };
    return { evalsha: vi.fn(), eval: vi.fn(), options: {}, duplicate: () => subscriber };
  },
  'node-redis': () => {
    const connect = vi.fn().mockRejectedValueOnce(new Error('not now')).mockResolvedValue(undefined);
    const subscriber = () => ({ on: () => undefined, connect, subscribe: () => Promise.resolve() });
    return { evalSha: vi.fn(), eval: vi.fn(), duplicate: subscriber };
  },
};

it.each(Object.entries(failing))('messages that could not be had by %s are asked for again', async (_kind, client) => {
  const connection = connectionOf(client(), false);
  const heard = vi.fn();
  await expect(connection.subscribe('channel', heard)).rejects.toThrow('not now');
  await connection.subscribe('channel', heard);
});

it('a channel is listened to by all who asked for it, however soon, and by nobody where that failed', async () => {
  const client = failing.ioredis();
  const { subscribe } = client.duplicate();
  const connection = connectionOf(client, false);
  const both = ['one', 'other'].map(() => connection.subscribe('channel', vi.fn()));
  expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await Promise.all(['one', 'other'].map(() => connection.subscribe('channel', vi.fn())));
  expect(subscribe).toHaveBeenCalledTimes(2);
});
