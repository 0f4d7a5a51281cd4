// The stores that test processes can be told to use, and what closes the client behind them.

import { processStore } from 'semlock';
import { postgresStore } from 'semlock/postgres';
import { redisStore } from 'semlock/redis';

export async function makeStore({ kind, ...options }) {
  return makers[kind](options);
}

const makers = {
  process: () => ({ store: processStore, close: () => undefined }),
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
  /** `withoutThread`: with an option that cannot be passed on to the thread that renews. */
  async pg({ url, leaseMs, withoutThread, ...more }) {
    const { Pool } = (await import('pg')).default;
    const secret = withoutThread ? { password: () => 'secret' } : {};
    const pool = new Pool({ connectionString: url, max: 3, connectionTimeoutMillis: 1_000, ...secret });
    pool.on('error', () => undefined);
    return { store: postgresStore({ pool, leaseMs, ...more }), close: () => pool.end() };
  },
  async 'postgres.js'({ url, leaseMs, ...more }) {
    const { default: postgres } = await import('postgres');
    // A connection that ends while postgres.js asks for types would end the process: nothing catches that.
    const sql = postgres(url, { max: 3, onnotice: () => undefined, connect_timeout: 1, fetch_types: false });
    return { store: postgresStore({ sql, leaseMs, ...more }), close: () => sql.end({ timeout: 1 }) };
  },
  /** By a client of the store's own. */
  connectionString: ({ url, ...more }) => ({
    store: postgresStore({ connectionString: url, ...more }),
    close: () => undefined,
  }),
  /** What many write by themselves: a lock of a connection, which ends with that and tells nobody. */
  async advisory({ url }) {
    const { Pool } = (await import('pg')).default;
    const pool = new Pool({ connectionString: url });
    pool.on('error', () => undefined);
    return { store: advisoryStore(pool), close: () => pool.end() };
  },
  /** What many write by themselves: a key with a time to live, which nobody renews. */
  async 'set-nx'({ url, leaseMs }) {
    const { Redis } = await import('ioredis');
    const client = new Redis(url);
    return { store: setNxStore(client, leaseMs), close: () => client.disconnect() };
  },
  /** The same by the package redlock, with the one server that there is. */
  async redlock({ url, leaseMs }) {
    const { Redis } = await import('ioredis');
    const { default: Redlock } = await import('redlock');
    const client = new Redis(url);
    client.on('error', () => undefined);
    const redlock = new Redlock([client], { retryCount: 0 });
    const tryLock = (key) => redlock.lock(key, leaseMs).catch(() => undefined);
    const store = pollingStore('redlock', tryLock, (lock) => lock.unlock().then(yes, no));
    return { store, close: () => client.disconnect() };
  },
};
const [yes, no] = [() => true, () => false];

/** To show that the checks find it at fault. */
function advisoryStore(pool) {
  return {
    name: 'advisory',
    can: { sync: false, wait: true, share: false, steal: false, permits: false },
    open: ({ namespace, name }) => ({
      async acquire({ waitMs = Infinity, signal }) {
        for (const end = Date.now() + waitMs; ;) {
          const client = await pool.connect();
          client.on('error', () => undefined);
          const key = `hashtext('${namespace}.${name}')`;
          const answer = await client.query(`SELECT pg_try_advisory_lock(${key}) AS had`).catch(() => undefined);
          const token = Number(process.hrtime.bigint() / 1000n);
          if (answer?.rows[0].had === true) return { token, abandoned: false, id: { client, key } };
          client.release(answer === undefined);
          signal?.throwIfAborted();
          if (Date.now() >= end) return null;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
      async release({ id: { client, key } }) {
        const answer = await client.query(`SELECT pg_advisory_unlock(${key})`).catch(() => undefined);
        client.release(answer === undefined);
        return true;
      },
      onLost: () => undefined,
    }),
    close: () => Promise.resolve(),
  };
}

function setNxStore(client, leaseMs) {
  const DELETE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end`;
  let last = 0;
  const tryLock = async (key) => {
    const value = `${process.pid}.${(last += 1)}`;
    return (await client.set(key, value, 'PX', leaseMs, 'NX')) === null ? undefined : { key, value };
  };
  return pollingStore('set-nx', tryLock, async ({ key, value }) => (await client.eval(DELETE, 1, key, value)) === 1);
}

/** To show that the checks find it at fault. */
function pollingStore(name, tryLock, unlock) {
  return {
    name,
    can: { sync: false, wait: true, share: false, steal: false, permits: false },
    open: ({ namespace, name: key }) => ({
      async acquire({ waitMs = Infinity, signal }) {
        for (const end = Date.now() + waitMs; ;) {
          const id = await tryLock(`${namespace}.${key}`);
          if (id !== undefined) return { token: Number(process.hrtime.bigint() / 1000n), abandoned: false, id };
          signal?.throwIfAborted();
          if (Date.now() >= end) return null;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
      release: ({ id }) => unlock(id),
      onLost: () => undefined,
    }),
    close: () => Promise.resolve(),
  };
}
