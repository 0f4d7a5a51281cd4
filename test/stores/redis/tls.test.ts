// Connections that are encrypted, to a server whose certificate is checked: also those of the store itself.

import { rmSync } from 'node:fs';

import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { redisStore, type RedisClient } from '../../../src/stores/redis/index.js';
import { makeCertificate } from '../../support/certificate.js';
import { freePort } from '../../support/free-port.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 2_000;
const { folder, cert, key, ca } = makeCertificate();
const port = await freePort();
const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
const server = await RedisServer.start(['--tls-port', String(port), '--tls-auth-clients', 'no', ...files]);
await server.isOlderThan(leaseMs);
const url = `rediss://localhost:${port}`;

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const clients: Record<string, () => Promise<RedisClient>> = {
  ioredis: () => {
    const client = new Redis(url, { tls: { ca } });
    onTestFinished(() => client.disconnect());
    return Promise.resolve(client);
  },
  'node-redis': async () => {
    const client = createClient({ url, socket: { tls: true, ca } });
    await client.connect();
    onTestFinished(() => client.destroy());
    return client;
  },
};

it.each(Object.entries(clients))('by %s work, and that of the thread that renews, too', async (kind, connect) => {
  const stores = [redisStore({ client: await connect(), leaseMs }), redisStore({ client: await connect(), leaseMs })];
  onTestFinished(async () => {
    for (const store of stores) await store.close();
  });
  const [one, other] = stores.map((store) => new Lock('file', { namespace: kind, store })) as [Lock, Lock];
  const hold = await one.acquire();
  const waiting = other.acquire();
  // Each has three that are used: its client, one for messages, and that of the thread.
  const used = async () => ((await server.command('CLIENT', 'LIST')).match(/ cmd=(evalsha|subscribe) /g) ?? []).length;
  await expect.poll(used, { timeout: 20_000 }).toBe(6);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.5 * leaseMs);
  expect(hold.lost).toBeUndefined();
  await hold[Symbol.asyncDispose]();
  await (await waiting)[Symbol.asyncDispose]();
});

it('are refused where the certificate is not one to trust', async () => {
  const client = new Redis(url, { maxRetriesPerRequest: 0, tls: {} });
  client.on('error', () => undefined);
  const store = redisStore({ client, leaseMs });
  onTestFinished(async () => {
    await store.close();
    client.disconnect();
  });
  await expect(new Lock('file', { namespace: 'no trust', store }).acquire()).rejects.toMatchObject({
    code: 'ERR_SEMLOCK_STORE',
  });
});
