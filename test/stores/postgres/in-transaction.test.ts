// A lock that is held by the caller's own transaction, beside ordinary holders.

import { randomUUID } from 'node:crypto';

import { afterAll, describe, expect, it } from 'vitest';
import type { PoolClient } from 'pg';

import { Lock } from '../../../src/lock.js';
import { Semaphore } from '../../../src/semaphore.js';
import { Bouncer, PostgresServer } from '../../support/postgres/server.js';
import { Stores } from '../../support/postgres/stores.js';

const server = await PostgresServer.start();
const bouncer = await Bouncer.start(server);
const stores = new Stores();
const pool = stores.pool(server.url(), { max: 10 });
const store = stores.store({ pool });
await store.migrate();

afterAll(async () => {
  await stores.close();
  await bouncer.remove();
  await server.remove();
});

async function begun(isolation = ''): Promise<PoolClient> {
  const client = await pool.connect();
  if (client.listenerCount('error') < 2) client.on('error', () => undefined); // it may be killed
  await client.query(`BEGIN ${isolation}`);
  return client;
}

async function end(client: PoolClient, how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  await client.query(how);
  client.release();
}

function someLock(): { namespace: string; lock: Lock; isFree: (mode?: 'shared') => Promise<boolean> } {
  const namespace = randomUUID();
  const lock = new Lock('ledger', { store, namespace });
  return {
    namespace,
    lock,
    isFree: async (mode) => {
      const hold = await lock.acquire({ ifAvailable: true, ...(mode === undefined ? {} : { mode }) });
      await hold?.[Symbol.asyncDispose]();
      return hold !== null;
    },
  };
}

/** Lets two go on when both have come there, the first time. */
function both(): { until(): Promise<void> } {
  let [come, go] = [0, (): void => undefined];
  const all = new Promise<void>((resolve) => (go = resolve));
  return {
    until: () => {
      come += 1;
      if (come === 2) go();
      return all;
    },
  };
}

describe('A lock within a transaction', () => {
  it.each(['COMMIT', 'ROLLBACK'] as const)('is held until its %s', async (how) => {
    const { namespace, isFree } = someLock();
    const client = await begun();
    await store.lockInTransaction(client, 'ledger', { namespace, waitMs: 0 });
    expect([await isFree(), await isFree('shared')]).toEqual([false, false]);
    await end(client, how);
    expect(await isFree()).toBe(true);
  });

  it('by postgres.js is one, too, also through PgBouncer', async () => {
    const { namespace, isFree } = someLock();
    const sql = stores.sql(server.url('postgres', bouncer.port));
    await sql.begin(async (transaction) => {
      await store.lockInTransaction(transaction, 'ledger', { namespace });
      expect(await isFree()).toBe(false);
    });
    expect(await isFree()).toBe(true);
  });

  it('is free at once when its backend is killed', async () => {
    const { namespace, isFree } = someLock();
    const client = await begun();
    await store.lockInTransaction(client, 'ledger', { namespace });
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const waiting = new Lock('ledger', { store, namespace }).acquire({ timeoutMs: 10_000 });
    await pool.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
    await (await waiting)[Symbol.asyncDispose]();
    client.release(true);
    expect(await isFree()).toBe(true);
  });

  it('is refused to, and waits for, an ordinary holder', async () => {
    const { namespace, lock } = someLock();
    const hold = await lock.acquire();
    const client = await begun();
    const busy = { code: 'ERR_SEMLOCK_TIMEOUT', lockName: 'ledger' };
    await expect(store.lockInTransaction(client, 'ledger', { namespace, waitMs: 0 })).rejects.toMatchObject(busy);
    await expect(store.lockInTransaction(client, 'ledger', { namespace, waitMs: 50 })).rejects.toMatchObject(busy);
    let had = false;
    const waiting = store.lockInTransaction(client, 'ledger', { namespace }).then(() => (had = true));
    await client.query('SELECT 1'); // it goes on
    expect(had).toBe(false);
    await hold[Symbol.asyncDispose]();
    await waiting;
    expect(await lock.acquire({ ifAvailable: true })).toBeNull();
    await end(client, 'COMMIT');
    await lock.run(() => undefined);
  });

  it('does not pass those who wait', async () => {
    const { namespace, lock } = someLock();
    const hold = await lock.acquire();
    const order: string[] = [];
    const first = lock.run(() => void order.push('lock'));
    await expect.poll(async () => (await store.query!({ namespace })).pending.length).toBe(1);
    const client = await begun();
    const second = store.lockInTransaction(client, 'ledger', { namespace }).then(async () => {
      order.push('transaction');
      await end(client, 'COMMIT');
    });
    await hold[Symbol.asyncDispose]();
    await Promise.all([first, second]);
    expect(order).toEqual(['lock', 'transaction']);
  });

  it('is shared by readers, in transactions or not', async () => {
    const { namespace, lock, isFree } = someLock();
    const [one, other] = [await begun(), await begun()];
    await store.lockInTransaction(one, 'ledger', { namespace, mode: 'shared' });
    await store.lockInTransaction(other, 'ledger', { namespace, mode: 'shared', waitMs: 0 });
    const reader = await lock.acquire({ mode: 'shared', ifAvailable: true });
    expect(reader).not.toBeNull();
    expect(await isFree()).toBe(false);
    await reader![Symbol.asyncDispose]();
    await end(one, 'COMMIT');
    expect(await isFree()).toBe(false);
    await end(other, 'ROLLBACK');
    expect(await isFree()).toBe(true);
  });

  it('loses no update among transactions and holders that take turns', async () => {
    const { namespace, lock } = someLock();
    await pool.query('CREATE TABLE IF NOT EXISTS totals (id text PRIMARY KEY, total int NOT NULL)');
    await pool.query('INSERT INTO totals VALUES ($1, 0)', [namespace]);
    const read = async (by: Pick<PoolClient, 'query'>): Promise<number> =>
      (await by.query<{ total: number }>('SELECT total FROM totals WHERE id = $1', [namespace])).rows[0]!.total;
    const add = async (by: Pick<PoolClient, 'query'>): Promise<void> => {
      const total = await read(by);
      await by.query('UPDATE totals SET total = $2 WHERE id = $1', [namespace, total + 1]);
    };
    const inTransaction = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) {
        const client = await begun();
        await store.lockInTransaction(client, 'ledger', { namespace });
        await add(client);
        await end(client, 'COMMIT');
      }
    };
    const ordinarily = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) await lock.run(() => add(pool));
    };
    await Promise.all([inTransaction(), inTransaction(), ordinarily(), ordinarily()]);
    expect(await read(pool)).toBe(40);
  });

  it('goes on where all connections of the pool are in such waits', async () => {
    const { namespace } = someLock();
    const small = stores.pool(server.url(), { max: 3 });
    const tight = stores.store({ pool: small });
    const one = async (): Promise<void> => {
      const client = await small.connect();
      await client.query('BEGIN');
      await tight.lockInTransaction(client, 'ledger', { namespace });
      await client.query('COMMIT');
      client.release();
    };
    await Promise.all(Array.from({ length: 6 }, one));
  });

  it('is refused to one of two that wait for each other, and the other goes on', async () => {
    const namespace = randomUUID();
    await pool.query('CREATE TABLE IF NOT EXISTS turns (id text, name text)');
    const inOrder = async (...names: readonly string[]): Promise<unknown> => {
      const client = await begun();
      try {
        for (const name of names) {
          await store.lockInTransaction(client, name, { namespace });
          await client.query('INSERT INTO turns VALUES ($1, $2)', [namespace, name]);
          await holding.until();
        }
        await end(client, 'COMMIT');
        return undefined;
      } catch (error) {
        await end(client, 'ROLLBACK');
        return error;
      }
    };
    const holding = both();
    const errors = await Promise.all([inOrder('a', 'b'), inOrder('b', 'a')]);
    expect(errors.filter((error) => error !== undefined)).toMatchObject([
      {
        code: 'ERR_SEMLOCK_STORE',
        message: expect.stringContaining('in the same order') as string,
        cause: expect.objectContaining({ code: '40P01' }) as Error,
      },
    ]);
    // What the other did is there, and nothing of the one that was rolled back; and both locks are free.
    expect((await pool.query('SELECT name FROM turns WHERE id = $1', [namespace])).rowCount).toBe(2);
    for (const name of ['a', 'b'])
      await new Lock(name, { store, namespace }).run(() => undefined, { timeoutMs: 5_000 });
  });

  it('is refused to one that waits for it with a row that its holder waits for', async () => {
    const { namespace } = someLock();
    await pool.query('CREATE TABLE IF NOT EXISTS rows (id text PRIMARY KEY)');
    await pool.query('INSERT INTO rows VALUES ($1)', [namespace]);
    const [one, other] = [await begun(), await begun()];
    await store.lockInTransaction(one, 'ledger', { namespace });
    await other.query('SELECT FROM rows WHERE id = $1 FOR UPDATE', [namespace]);
    const [locked, updated] = await Promise.allSettled([
      store.lockInTransaction(other, 'ledger', { namespace }).finally(() => end(other, 'ROLLBACK')),
      one.query('UPDATE rows SET id = id WHERE id = $1', [namespace]).finally(() => end(one, 'COMMIT')),
    ]);
    // The server chooses one; the other goes on.
    const refused = [locked, updated].filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(1);
  });

  it('is not had without a transaction, nor in one that does not see what was done before', async () => {
    const { namespace, isFree } = someLock();
    const client = await pool.connect();
    const none = { code: 'ERR_SEMLOCK_STORE', message: expect.stringContaining('no transaction') as string };
    await expect(store.lockInTransaction(client, 'ledger', { namespace })).rejects.toMatchObject(none);
    client.release();
    const repeatable = await begun('ISOLATION LEVEL REPEATABLE READ');
    await expect(store.lockInTransaction(repeatable, 'ledger', { namespace })).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('READ COMMITTED') as string,
    });
    await repeatable.query('SELECT 1'); // it was not aborted
    await end(repeatable, 'COMMIT');
    expect(await isFree()).toBe(true);
    await expect((async () => store.lockInTransaction(pool as never, 'ledger'))()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
    });
  });

  it('is no permit of a semaphore', async () => {
    const namespace = randomUUID();
    const semaphore = new Semaphore('ledger', { store, namespace, permits: 2 });
    await semaphore.run(async () => {
      const client = await begun();
      const wrong = { code: 'ERR_SEMLOCK_MISMATCH' };
      await expect(store.lockInTransaction(client, 'ledger', { namespace })).rejects.toMatchObject(wrong);
      await end(client, 'ROLLBACK');
    });
  });
});
