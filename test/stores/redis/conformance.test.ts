// The store on a Redis server keeps the contract of all stores, with each client. Two stores take turns, so that what two
// processes would have is seen.

import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { afterAll, describe, it } from 'vitest';

import { testStore } from '../../../src/conformance/index.js';
import { redisStore } from '../../../src/stores/redis/index.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 3_000;
const server = await RedisServer.shared(leaseMs);
const ends: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

const io = () => {
  const client = new Redis(server.port);
  ends.push(() => client.disconnect());
  return client;
};
const node = async () => {
  const client = createClient({ url: server.url });
  await client.connect();
  ends.push(() => client.destroy());
  return client;
};

const clients = { ioredis: [io(), io()], 'node-redis': [await node(), await node()] };

for (const [name, both] of Object.entries(clients)) {
  const stores = both.map((client) => redisStore({ client, leaseMs }));
  ends.push(...stores.map((store) => () => store.close()));
  let turn = 0;
  describe(`by ${name}`, () => testStore({ store: () => stores[(turn += 1) % 2]!, describe, it }));
}
