// Locks in a PostgreSQL database, all by a pool of `pg` over the Unix socket of the trial's server. Each gives `acquire()`, a
// promise of the function that releases; those that ask again and again do so every 10 ms.

import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';

import { addressOf } from './postgres-server.mjs';

const RETRY_MS = 10;

export const waiting = {
  async semlock(place) {
    const { Lock } = await import('../../../dist/index.js');
    const { postgresStore } = await import('../../../dist/stores/postgres/index.js');
    const store = postgresStore({ pool: poolOf(place) });
    const lock = new Lock('bench', { namespace: place.namespace, store });
    return async () => {
      const hold = await lock.acquire();
      return () => hold[Symbol.asyncDispose]();
    };
  },

  /** The calls that semlock makes for the two, and nothing else. */
  async roundTrips(place) {
    const { callOf } = await import('../../../dist/stores/postgres/backend.js');
    const { escaped, keyOf, spaceOf } = await import('../../../dist/stores/postgres/names.js');
    const pool = poolOf(place);
    const call = async (name, ...values) => {
      const { rows } = await pool.query(callOf('semlock', name, values));
      return JSON.parse(rows[0].answer);
    };
    const lock = { namespace: 'round trips', name: 'bench' };
    const [sid, key, space] = ['1-0-bench', keyOf('semlock', lock), spaceOf(lock.namespace)];
    const where = [key, space, escaped(lock.namespace), escaped(lock.name)];
    await call('begin', sid, space, 3_600_000, null, false);
    let request = 0;
    return async () => {
      const mine = (request += 1);
      const { is, token } = await call('acquire', sid, mine, ...where, 1, false, true, false);
      if (is !== 'granted') throw new Error(`the lock was ${is}`);
      return () => call('release', sid, mine, token, key, false, false);
    };
  },

  advisory(place) {
    const pool = poolOf(place);
    return async () => {
      const client = await pool.connect();
      for (;;) {
        const { rows } = await client.query('SELECT pg_try_advisory_lock(7) AS had');
        if (rows[0].had) break;
        await sleep(RETRY_MS);
      }
      return async () => {
        await client.query('SELECT pg_advisory_unlock(7)');
        client.release();
      };
    };
  },

  skipLocked(place) {
    const pool = poolOf(place);
    return async () => {
      const client = await pool.connect();
      for (;;) {
        await client.query('BEGIN');
        const { rowCount } = await client.query('SELECT FROM rows WHERE id = 1 FOR UPDATE SKIP LOCKED');
        if (rowCount === 1) break;
        await client.query('ROLLBACK');
        await sleep(RETRY_MS);
      }
      return async () => {
        await client.query('COMMIT');
        client.release();
      };
    };
  },

  /** Nobody is excluded, but each of the two is on the disk before it is answered. */
  changes(place) {
    const pool = poolOf(place);
    const change = () => pool.query('UPDATE rows SET changes = changes + 1 WHERE id = 2');
    return async () => {
      await change();
      return change;
    };
  },

  /** Nobody is excluded, and nothing is kept. */
  selects(place) {
    const pool = poolOf(place);
    return async () => {
      await pool.query('SELECT 1');
      return () => pool.query('SELECT 1');
    };
  },
};

function poolOf(place) {
  return new pg.Pool({ ...addressOf(place), max: 4 });
}
