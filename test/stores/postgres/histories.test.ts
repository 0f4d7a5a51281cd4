// Processes that use a lock in a PostgreSQL database without a plan, while processes, the server and the network fail: see
// test/support/remote/histories.ts.

import { Client } from 'pg';
import { describe, expect, it } from 'vitest';

import { postgresStore } from '../../../src/stores/postgres/index.js';
import { Bouncer, PostgresServer } from '../../support/postgres/server.js';
import { problemsOf, testHistories } from '../../support/remote/histories.js';
import { Run, SECONDS, timeout, type RunOptions } from '../../support/history/run.js';

const leaseMs = 2_000;

async function onServer(test: (server: PostgresServer) => Promise<void>): Promise<void> {
  const server = await PostgresServer.start({ max_connections: '200' });
  try {
    const store = postgresStore({ connectionString: server.url() });
    await store.migrate();
    await store.close();
    await test(server);
  } finally {
    await server.remove();
  }
}

const ofBoth = (
  server: PostgresServer,
  lease = leaseMs,
  port = server.port,
  more: object = {},
): RunOptions['store'] => {
  return (client) => ({
    kind: client % 2 === 0 ? 'pg' : 'postgres.js',
    url: server.url('postgres', port),
    leaseMs: lease,
    ...more,
  });
};

async function query(server: PostgresServer, text: string): Promise<void> {
  const client = new Client({ connectionString: server.url() });
  client.on('error', () => undefined); // it may be ended, too
  await client.connect();
  await client.query(text);
  await client.end();
}

describe('A run is right', () => {
  testHistories({ onServer, ofBoth });

  it.each([1, 3])(
    'through PgBouncer without notices, of %i permits, with holders that are killed',
    { timeout },
    (permits) =>
      onServer(async (server) => {
        const bouncer = await Bouncer.start(server);
        try {
          const store = ofBoth(server, leaseMs, bouncer.port, { listen: false });
          const run = await Run.of({ store, permits, grants: SECONDS }, (run) =>
            run.every(700, async () => {
              await run.kill(run.holder());
              await run.startClient();
              await run.granted();
            }),
          );
          expect(run.problems).toEqual([]);
        } finally {
          await bouncer.remove();
        }
      }),
  );

  it.each(['fast', 'immediate'] as const)('when the server is restarted (%s)', { timeout }, (mode) =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server), holdMs: 50 }, (run) =>
        run.every(1_000, async () => {
          await server.stop(mode);
          await server.resume();
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('when connections are ended at any moment', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server), grants: SECONDS }, (run) =>
        run.every(100, () =>
          query(
            server,
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.5`,
          ),
        ),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('when all that the server knows is deleted', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server), holdMs: 100, grants: SECONDS }, (run) =>
        run.every(1_500, async () => {
          const deleted = query(server, 'TRUNCATE semlock.sessions, semlock.requests, semlock.locks');
          // It locks the tables in an order of its own; the next one comes soon.
          await deleted.catch((error: unknown) => {
            if ((error as { code?: string }).code !== '40P01') throw error;
          });
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );
});

describe('The same checks find at fault', () => {
  it('session-level advisory locks, when connections are ended', { timeout }, () =>
    onServer(async (server) => {
      const store = () => ({ kind: 'advisory', url: server.url(), leaseMs });
      const problems = await problemsOf(() =>
        Run.of({ store, seconds: 4, holdMs: 100 }, (run) =>
          run.every(200, () =>
            query(
              server,
              `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
            ),
          ),
        ),
      );
      expect(problems).toContainEqual(expect.stringContaining('together'));
    }),
  );
});
