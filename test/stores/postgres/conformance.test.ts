// The contract, by each client and each way to the server.

import { Pool } from 'pg';
import postgres from 'postgres';
import { afterAll, describe, it } from 'vitest';

import { testStore } from '../../../src/conformance/index.js';
import { postgresStore, type PostgresStore } from '../../../src/stores/postgres/index.js';
import { Bouncer, PostgresServer } from '../../support/postgres/server.js';

const server = await PostgresServer.start();
const bouncer = await Bouncer.start(server);
const closes: (() => Promise<unknown>)[] = [];

const first = postgresStore({ connectionString: server.url() });
await first.migrate();
await first.close();

afterAll(async () => {
  for (const close of closes.reverse()) await close();
  await bouncer.remove();
  await server.remove();
});

/** Several stores take turns, as they would in several processes. */
function turns(make: () => PostgresStore): () => PostgresStore {
  const stores: PostgresStore[] = [];
  let next = 0;
  return () => {
    if (stores.length < 2) {
      const store = make();
      stores.push(store);
      closes.push(() => store.close());
    }
    return stores[next++ % 2]!;
  };
}

function pool(url: string): Pool {
  const made = new Pool({ connectionString: url, max: 5 });
  closes.push(() => made.end());
  return made;
}

function sql(url: string) {
  const made = postgres(url, { max: 5, prepare: false, onnotice: () => undefined });
  closes.push(() => made.end());
  return made;
}

const LEASE = { leaseMs: 10_000 };
const direct = server.url();
const pooled = server.url('postgres', bouncer.port);

const ways: Record<string, () => PostgresStore> = {
  'a pool of pg': () => postgresStore({ ...LEASE, pool: pool(direct) }),
  'postgres.js': () => postgresStore({ ...LEASE, sql: sql(direct) }),
  'a connection string': () => postgresStore({ ...LEASE, connectionString: direct }),
  'pg through PgBouncer, with notices beside it': () =>
    postgresStore({ ...LEASE, pool: pool(pooled), listen: { connectionString: direct } }),
  'pg through PgBouncer, without notices': () => postgresStore({ ...LEASE, pool: pool(pooled) }),
  'postgres.js through PgBouncer, without notices': () => postgresStore({ ...LEASE, sql: sql(pooled), listen: false }),
};

describe.each(Object.entries(ways))('By %s', (_way, make) => {
  testStore({ store: turns(make), describe, it });
});
