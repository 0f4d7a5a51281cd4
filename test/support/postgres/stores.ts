// Stores of one test file, and what they need: made by one call, closed by another.

import { randomUUID } from 'node:crypto';

import { Pool } from 'pg';
import postgres from 'postgres';

import { postgresStore, type PostgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres/index.js';

export class Stores {
  readonly #closes: (() => Promise<unknown>)[] = [];

  pool(connectionString: string, options: object = {}): Pool {
    const pool = new Pool({ connectionString, max: 5, ...options });
    pool.on('error', () => undefined); // servers are stopped here
    this.#closes.push(() => pool.end());
    return pool;
  }

  sql(url: string, options: object = {}) {
    const sql = postgres(url, { max: 5, prepare: false, onnotice: () => undefined, ...options });
    this.#closes.push(() => sql.end({ timeout: 1 }));
    return sql;
  }

  store(options: PostgresStoreOptions): PostgresStore {
    const store = postgresStore({ leaseMs: 10_000, ...options });
    this.#closes.push(() => store.close());
    return store;
  }

  /** Closes all of them, the last one first. */
  async close(): Promise<void> {
    for (const close of this.#closes.splice(0).reverse()) await close();
  }
}

/** A schema that nobody else uses. */
export function someSchema(): string {
  return `locks_${randomUUID().slice(0, 8)}`;
}
