// The middleware with a store on a server, in two apps that share nothing else.

import { tmpdir } from 'node:os';
import { join } from 'node:path';

import express from 'express';
import { Redis } from 'ioredis';
import { expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { redisStore } from '../../../src/stores/redis/index.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { listen, RawClient } from '../../support/http-server.js';
import { freePort } from '../../support/free-port.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 3_000;
const server = await RedisServer.shared(leaseMs);

interface App {
  readonly port: number;
  /** A handler that is under way, and what lets it end. */
  readonly entered: Deferred<void>;
  readonly leave: Deferred<void>;
}

async function app(file: string, port = server.port, waitMs = 0): Promise<App> {
  const client = new Redis(port, { maxRetriesPerRequest: 1, retryStrategy: () => 10 });
  client.on('error', () => undefined);
  const store = redisStore({ client, leaseMs });
  onTestFinished(async () => {
    await store.close();
    client.disconnect();
  });
  const [entered, leave] = [deferred(), deferred()];
  const routes = express();
  routes.set('env', 'test');
  routes.use(fileLock({ store, file: join(tmpdir(), file), waitMs }));
  routes.get('/', (_req, res) => void res.end('quick'));
  routes.get('/slow', (_req, res) => {
    entered.resolve();
    void leave.promise.then(() => res.end('slow'));
  });
  return { port: await listen(routes), entered, leave };
}

const ask = (port: number, path = '/') => fetch(`http://127.0.0.1:${port}${path}`);

it('one app is busy while a request of the other has the file, and other files are free', async () => {
  const [one, two, other] = [await app('semlock test a'), await app('semlock test a'), await app('semlock test b')];
  const slow = ask(one.port, '/slow');
  await one.entered.promise;
  const busy = await ask(two.port);
  expect([busy.status, busy.headers.has('retry-after')]).toEqual([503, true]);
  expect((await ask(other.port)).status).toBe(200);
  one.leave.resolve();
  expect(await (await slow).text()).toBe('slow');
  expect((await ask(two.port)).status).toBe(200);
});

it('a request of one app waits until that of the other is done', async () => {
  const [one, two] = [await app('semlock test w'), await app('semlock test w', server.port, 10_000)];
  const slow = ask(one.port, '/slow');
  await one.entered.promise;
  const waiting = ask(two.port);
  one.leave.resolve();
  expect([(await slow).status, (await waiting).status]).toEqual([200, 200]);
});

it('a client that sends one request after the other is never told busy, whichever app it asks', async () => {
  const both = [await app('semlock test s'), await app('semlock test s')];
  for (let turn = 0; turn < 60; turn += 1) expect((await ask(both[turn % 2]!.port)).status).toBe(200);
});

it('a client that leaves does not free the file while its handler works', async () => {
  const [one, two] = [await app('semlock test l'), await app('semlock test l')];
  const client = new RawClient(one.port).get('/slow');
  await one.entered.promise;
  client.leave();
  expect((await ask(two.port)).status).toBe(503);
  one.leave.resolve();
  await expect.poll(async () => (await ask(two.port)).status).toBe(200);
});

it('a request is answered 503 when no server is there', async () => {
  const { port } = await app('semlock test n', await freePort());
  expect((await ask(port)).status).toBe(503);
});
