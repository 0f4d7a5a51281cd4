// How the schema comes to be, and what is said where it is not as it should be.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { afterAll, describe, expect, it } from 'vitest';

import type { SemlockError } from '../../../src/errors.js';
import { Lock } from '../../../src/lock.js';
import { migration, SCHEMA_VERSION } from '../../../src/stores/postgres/schema.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { someSchema, Stores } from '../../support/postgres/stores.js';

const server = await PostgresServer.start();
const stores = new Stores();
const admin = stores.pool(server.url());

afterAll(async () => {
  await stores.close();
  await server.remove();
});

/** What is in a schema: its tables with their columns and settings, its indexes and functions. */
async function contents(schema: string): Promise<unknown> {
  const { rows } = await admin.query<{ what: string }>(
    `SELECT c.relname || ' ' || c.relkind::text || coalesce(c.reloptions::text, '') || coalesce((
        SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull, ',' ORDER BY a.attname)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '') AS what
      FROM pg_class c WHERE c.relnamespace = $1::text::regnamespace
      UNION SELECT replace(pg_get_functiondef(p.oid), $1::text, '') FROM pg_proc p WHERE p.pronamespace = $1::text::regnamespace ORDER BY 1`,
    [schema],
  );
  return rows.map(({ what }) => what);
}

describe('migrate()', () => {
  it('makes the schema when 8 processes do so at once, and changes nothing afterwards', async () => {
    const schema = someSchema();
    const script = `
      const { postgresStore } = require('./dist/stores/postgres/index.js');
      const store = postgresStore({ connectionString: '${server.url()}', schema: '${schema}' });
      store.migrate().then(() => store.close()).then(() => console.log('done'));`;
    const run = () => promisify(execFile)(process.execPath, ['-e', script]);
    const all = await Promise.all(Array.from({ length: 8 }, run));
    expect(all.map(({ stdout }) => stdout.trim())).toEqual(Array.from({ length: 8 }, () => 'done'));
    const before = await contents(schema);
    await stores.store({ pool: admin, schema }).migrate();
    expect(await contents(schema)).toEqual(before);
  });

  it('is a command, too', async () => {
    const schema = someSchema();
    const run = (...args: string[]) => promisify(execFile)(process.execPath, ['dist/command.js', ...args]);
    const { stdout } = await run('migrate', '--store', server.url(), '--schema', schema);
    expect(stdout).toBe(`The schema ${schema} is up to date\n`);
    await new Lock('a', { store: stores.store({ pool: admin, schema }), namespace: 'ns' }).run(() => undefined);
    await expect(run('migrate', '--store', 'redis://x')).rejects.toMatchObject({ code: 64 });
  });

  it('brings a schema of the version before to this one, while its locks are held', async () => {
    const [old, fresh] = [someSchema(), someSchema()];
    await admin.query(migration(old, SCHEMA_VERSION - 1));
    await admin.query(
      `INSERT INTO ${old}.sessions (sid, expires) VALUES ('1-0-old', now() + interval '1 min');
       INSERT INTO ${old}.locks (key, space, namespace, name, permits, last_token) VALUES ('k', 's', 'ns', 'name', 1, 5);
       INSERT INTO ${old}.requests (sid, request, key, state, shared, token) VALUES ('1-0-old', 1, 'k', 'held', false, 5)`,
    );
    const store = stores.store({ pool: admin, schema: old });
    await expect(new Lock('a', { store, namespace: 'ns' }).acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining(`version ${SCHEMA_VERSION - 1}`) as string,
    });
    await store.migrate();
    await stores.store({ pool: admin, schema: fresh }).migrate();
    expect(await contents(old)).toEqual(await contents(fresh));
    const { held } = await store.query!({ namespace: 'ns' });
    expect(held.map(({ name, token, alive }) => ({ name, token, alive }))).toEqual([
      { name: 'name', token: 5, alive: true },
    ]);
    await new Lock('a', { store, namespace: 'ns' }).run(() => undefined);
  });

  it('touches nothing outside of its schema', async () => {
    const count = `SELECT count(*)::int AS n FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname NOT LIKE 'locks\\_%' AND n.nspname NOT LIKE 'pg\\_t%'`;
    const before = (await admin.query<{ n: number }>(count)).rows;
    await stores.store({ pool: admin, schema: someSchema() }).migrate();
    expect((await admin.query<{ n: number }>(count)).rows).toEqual(before);
  });

  it('tells a role that may not make it the SQL, with which it can then work', async () => {
    await admin.query('CREATE ROLE plain LOGIN');
    const schema = someSchema();
    const store = stores.store({ pool: stores.pool(server.url('plain')), schema });
    const error = (await store.migrate().catch((reason: unknown) => reason)) as SemlockError;
    expect([error.code, error.cause?.code]).toEqual(['ERR_SEMLOCK_STORE', '42501']);
    await admin.query(error.message.slice(error.message.indexOf('DO $semlock$')));
    await store.migrate();
    await new Lock('a', { store, namespace: 'ns' }).run(() => undefined);
    await expect(admin.query(`SELECT FROM ${schema}.locks`)).resolves.toMatchObject({ rowCount: 1 });
  });

  it('refuses a schema that a later semlock has made, and one that is not its own', async () => {
    const schema = someSchema();
    const store = stores.store({ pool: admin, schema });
    await store.migrate();
    await admin.query(`UPDATE ${schema}.state SET version = 99`);
    const tooNew = { code: 'ERR_SEMLOCK_STORE', message: expect.stringContaining('update semlock') as string };
    await expect(store.migrate()).rejects.toMatchObject(tooNew);
    await expect(new Lock('a', { store, namespace: 'ns' }).acquire()).rejects.toMatchObject(tooNew);
    for (const wrong of ['public', 'pg_catalog', 'information_schema', 'ä', 'a$b']) {
      expect(() => stores.store({ pool: admin, schema: wrong })).toThrow(/schema/);
    }
  });
});

it.each([`Lo"ck's`, '%s \\ Schema'])('may have any name, such as %s', async (schema) => {
  const store = stores.store({ pool: admin, schema });
  await store.migrate();
  await store.migrate();
  const lock = new Lock('a', { store, namespace: 'ns' });
  const hold = await lock.acquire();
  const waiting = lock.acquire();
  await hold[Symbol.asyncDispose]();
  await (await waiting)[Symbol.asyncDispose]();
});

it('says what to do where there is no schema', async () => {
  const lock = new Lock('a', { store: stores.store({ pool: admin, schema: someSchema() }), namespace: 'ns' });
  await expect(lock.acquire()).rejects.toMatchObject({
    code: 'ERR_SEMLOCK_STORE',
    message: expect.stringContaining('semlock migrate') as string,
    cause: { code: '42P01' },
  });
});

it('takes one way to the server, and no other', () => {
  for (const options of [{}, { pool: admin, connectionString: 'postgres://x' }]) {
    expect(() => stores.store(options)).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }) as Error);
  }
  const wrong = [{ pool: {} }, { sql: {} }, { pool: admin, listen: true }, { pool: admin, listen: {} }] as never[];
  for (const options of wrong) {
    expect(() => stores.store(options)).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }) as Error);
  }
});
