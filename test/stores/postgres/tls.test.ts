// Connections that are encrypted, to a server whose certificate is checked: also those of the store itself.

import { rmSync } from 'node:fs';

import { afterAll, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { PostgresStoreOptions } from '../../../src/stores/postgres/index.js';
import { makeCertificate } from '../../support/certificate.js';
import { owner, PostgresServer } from '../../support/postgres/server.js';
import { Stores } from '../../support/postgres/stores.js';

const leaseMs = 2_000;
const { folder, cert, key, ca } = makeCertificate(owner);
const server = await PostgresServer.start({ ssl: 'on', ssl_cert_file: cert, ssl_key_file: key });
const stores = new Stores();
const admin = stores.pool(server.url(), { max: 1, application_name: 'admin' });
await stores.store({ pool: admin }).migrate();

afterAll(async () => {
  await stores.close();
  await server.remove();
  rmSync(folder, { recursive: true });
});

const verified = `${server.url()}?sslmode=verify-full&sslrootcert=${encodeURIComponent(cert)}`;
const ways: Record<string, () => PostgresStoreOptions> = {
  pg: () => ({ pool: stores.pool(server.url(), { ssl: { ca } }) }),
  'postgres.js': () => ({ sql: stores.sql(server.url(), { ssl: { ca } }) }),
  'a connection string': () => ({ connectionString: verified }),
};

/** Of those that a store has, beside that of the test itself: how many there are for each purpose, and how many are open to read. */
async function connections(): Promise<{ renewing: number; listening: number; plain: number }> {
  const { rows } = await admin.query<{ renewing: number; listening: number; plain: number }>(
    `SELECT count(*) FILTER (WHERE a.application_name = 'semlock renewal')::int AS renewing, count(*) FILTER (WHERE query LIKE 'LISTEN%')::int AS listening,
        count(*) FILTER (WHERE NOT s.ssl)::int AS plain
      FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'client backend' AND a.application_name <> 'admin'`,
  );
  return rows[0]!;
}

it.each(Object.entries(ways))('by %s work, and those for notices and renewals, too', async (way, options) => {
  const store = stores.store({ ...options(), leaseMs });
  const lock = new Lock('file', { namespace: way, store });
  const hold = await lock.acquire();
  const waiting = lock.acquire();
  await expect.poll(connections, { timeout: 20_000 }).toEqual({ renewing: 1, listening: 1, plain: 0 });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.5 * leaseMs);
  expect(hold.lost).toBeUndefined();
  await hold[Symbol.asyncDispose]();
  await (await waiting)[Symbol.asyncDispose]();
  await store.close();
  await expect.poll(connections, { timeout: 10_000 }).toMatchObject({ renewing: 0, listening: 0 });
});

it('are refused where the certificate is not one to trust', async () => {
  const store = stores.store({ pool: stores.pool(server.url(), { ssl: true }) });
  await expect(new Lock('file', { namespace: 'no trust', store }).acquire()).rejects.toMatchObject({
    code: 'ERR_SEMLOCK_STORE',
    cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
  });
});
