// The stores that test processes can be told to use, and what closes the client behind them.

import { redisStore } from 'semlock/redis';

export async function makeStore({ kind, ...options }) {
  return makers[kind](options);
}

const makers = {
  async ioredis({ url, leaseMs, ...more }) {
    const { Redis } = await import('ioredis');
    const client = new Redis(url, { maxRetriesPerRequest: null });
    client.on('error', () => undefined);
    return { store: redisStore({ client, leaseMs, ...more }), close: () => client.disconnect() };
  },
  async 'node-redis'({ url, leaseMs, ...more }) {
    const { createClient } = await import('redis');
    const client = createClient({ url });
    client.on('error', () => undefined);
    await client.connect();
    return { store: redisStore({ client, leaseMs, ...more }), close: () => client.destroy() };
  },
  /** What many write by themselves: a key with a time to live, which nobody renews. */
  async 'set-nx'({ url, leaseMs }) {
    const { Redis } = await import('ioredis');
    const client = new Redis(url);
    return { store: setNxStore(client, leaseMs), close: () => client.disconnect() };
  },
};

/** To show that the checks find it at fault; redlock does the same on each of its servers. */
function setNxStore(client, leaseMs) {
  const DELETE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end`;
  let last = 0;
  return {
    name: 'set-nx',
    can: { sync: false, wait: true, share: false, steal: false, permits: false },
    open: ({ namespace, name }) => ({
      async acquire({ waitMs = Infinity, signal }) {
        const value = `${process.pid}.${(last += 1)}`;
        for (const end = Date.now() + waitMs; ;) {
          if ((await client.set(`${namespace}.${name}`, value, 'PX', leaseMs, 'NX')) !== null) {
            return { token: Number(process.hrtime.bigint() / 1000n), abandoned: false, id: value };
          }
          signal?.throwIfAborted();
          if (Date.now() >= end) return null;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
      release: async ({ id }) => (await client.eval(DELETE, 1, `${namespace}.${name}`, id)) === 1,
      onLost: () => undefined,
    }),
    close: () => Promise.resolve(),
  };
}
