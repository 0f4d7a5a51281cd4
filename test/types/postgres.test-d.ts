import { Pool } from 'pg';
import postgres from 'postgres';
import { Lock, setDefaultStore, type ClosableStore } from 'semlock';
import { guard, postgresStore, type PostgresStore } from 'semlock/postgres';
import { describe, expectTypeOf, it } from 'vitest';

// Compiled, and never run: see public-api.test-d.ts.

describe('the store in PostgreSQL', () => {
  it('takes the clients of both drivers as they are, or a connection string', () => {
    const store = postgresStore({ pool: new Pool() });
    expectTypeOf(store).toEqualTypeOf<PostgresStore>();
    expectTypeOf(store).toExtend<ClosableStore>();
    expectTypeOf(store.close()).toEqualTypeOf<Promise<void>>();
    expectTypeOf(store.migrate()).toEqualTypeOf<Promise<void>>();
    setDefaultStore(postgresStore({ sql: postgres(), schema: 'locks', leaseMs: 5_000, listen: false }));
    postgresStore({ connectionString: 'postgres://db', listen: { connectionString: 'postgres://direct' } });
    // @ts-expect-error -- The client of the other driver.
    postgresStore({ pool: postgres() });
    // @ts-expect-error -- The client of the other driver.
    postgresStore({ sql: new Pool() });
    // @ts-expect-error -- There is no such option.
    postgresStore({ pool: new Pool(), lease: 5_000 });
    // @ts-expect-error -- Whether there are notices is false, or where from.
    postgresStore({ pool: new Pool(), listen: true });
  });

  it('locks within a transaction of either driver', async () => {
    const pool = new Pool();
    const store = postgresStore({ pool });
    const client = await pool.connect();
    expectTypeOf(store.lockInTransaction(client, 'ledger')).toEqualTypeOf<Promise<void>>();
    await store.lockInTransaction(client, 'ledger', { mode: 'shared', waitMs: 5_000, namespace: 'bank' });
    await postgres().begin((sql) => store.lockInTransaction(sql, 'ledger'));
    // @ts-expect-error -- How long to wait has another name here.
    await store.lockInTransaction(client, 'ledger', { timeoutMs: 5_000 });
    // @ts-expect-error -- A name is needed.
    await store.lockInTransaction(client);
  });

  it('gives tokens that guard rows', async () => {
    await new Lock('ledger').run((hold) => expectTypeOf(guard(hold)).toExtend<{ set: string; where: string }>());
    expectTypeOf(guard(7, { column: 'token' }).where).toBeString();
    // @ts-expect-error -- A name is no token.
    guard('ledger');
  });
});
