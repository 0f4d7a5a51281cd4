// Processes that use a lock in a PostgreSQL database without a plan, while processes, the server and the network fail. What
// they wrote down is checked, as for Redis: see test/support/remote.

import { setTimeout as sleep } from 'node:timers/promises';

import { Client } from 'pg';
import { describe, expect, it } from 'vitest';

import { postgresStore } from '../../../src/stores/postgres/index.js';
import { Bouncer, PostgresServer } from '../../support/postgres/server.js';
import { Proxy } from '../../support/remote/proxy.js';
import { Run, SECONDS, type RunOptions } from '../../support/remote/run.js';

const leaseMs = 2_000;
const timeout = (SECONDS + 60) * 1000;

async function onServer<T>(test: (server: PostgresServer) => Promise<T>): Promise<T> {
  const server = await PostgresServer.start({ max_connections: '200' });
  try {
    const store = postgresStore({ connectionString: server.url() });
    await store.migrate();
    await store.close!();
    return await test(server);
  } finally {
    await server.remove();
  }
}

/** The clients of both kinds take turns. */
const ofBoth = (server: PostgresServer, port = server.port, more: object = {}): RunOptions['store'] => {
  return (client) => ({
    kind: client % 2 === 0 ? 'pg' : 'postgres.js',
    url: server.url('postgres', port),
    leaseMs,
    ...more,
  });
};

async function every(ms: number, run: Run, act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    await sleep(ms);
    if (run.isOver) return;
    await act();
  }
}

async function query(server: PostgresServer, text: string): Promise<void> {
  const client = new Client({ connectionString: server.url() });
  client.on('error', () => undefined); // it may be ended, too
  await client.connect();
  await client.query(text);
  await client.end();
}

describe('A run is right', () => {
  it('when nothing goes wrong', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server) });
      expect(run.problems).toEqual([]);
      expect(run.failures).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(5 * SECONDS);
      expect(run.grants.filter(({ lost }) => lost !== undefined)).toEqual([]);
    }),
  );

  it.each([1, 3])(
    'through PgBouncer without notices, of %i permits, with holders that are killed',
    { timeout },
    (permits) =>
      onServer(async (server) => {
        const bouncer = await Bouncer.start(server);
        try {
          const store = ofBoth(server, bouncer.port, { listen: false });
          const run = await Run.of({ store, permits }, (run) =>
            every(700, run, async () => {
              await run.kill(run.holder());
              await run.startClient();
            }),
          );
          expect(run.problems).toEqual([]);
          expect(run.grants.length).toBeGreaterThan(SECONDS);
        } finally {
          await bouncer.remove();
        }
      }),
  );

  it('with holders that are stopped for longer than their lease', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server), holdMs: 20 }, (run) =>
        every(100, run, () => run.pause(run.holder(), 1.6 * leaseMs)),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(SECONDS);
    }),
  );

  it('and a holder whose main thread is busy for three leases keeps the lock', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server) }, async (run) => {
        await sleep(100);
        run.block(0, 3 * leaseMs);
      });
      expect(run.problems).toEqual([]);
      const blocked = run.grants.filter((grant) => grant.blocked === true);
      expect(blocked.length).toBeGreaterThan(0);
      for (const { got, gaveBack, lost } of blocked) {
        expect(lost).toBeUndefined();
        expect(gaveBack! - got!).toBeGreaterThanOrEqual(3 * leaseMs);
      }
    }),
  );

  it.each(['fast', 'immediate'] as const)('when the server is restarted (%s)', { timeout }, (mode) =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server), holdMs: 50 }, (run) =>
        every(1_000, run, async () => {
          await server.stop(mode);
          await server.resume();
        }),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(0); // it is away for most of the time
    }),
  );

  it('when connections are ended at any moment', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server) }, (run) =>
        every(100, run, () =>
          query(
            server,
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < 0.5`,
          ),
        ),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(SECONDS);
    }),
  );

  it('when all that the server knows is deleted', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server), holdMs: 100 }, (run) =>
        every(1_500, run, async () => {
          await query(server, 'TRUNCATE semlock.sessions, semlock.requests, semlock.locks');
        }),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(SECONDS);
    }),
  );

  it.each(['deaf', 'mute'] as const)('when the network between some and the server is %s', { timeout }, (way) =>
    onServer(async (server) => {
      const proxy = await Proxy.start(server.port);
      try {
        const port = Number(new URL(proxy.url).port);
        const store: RunOptions['store'] = (client) => ofBoth(server, client < 2 ? port : server.port)(client);
        const run = await Run.of({ store, seconds: 2 * SECONDS, holdMs: 20 }, (run) =>
          every(500, run, async () => {
            proxy.way = way;
            await sleep(2 * leaseMs);
            proxy.way = 'open';
          }),
        );
        expect(run.problems).toEqual([]);
        expect(run.grants.length).toBeGreaterThan(SECONDS);
      } finally {
        await proxy.stop();
      }
    }),
  );

  it('when answers are lost, so that clients ask again, and what they asked before comes late', { timeout }, () =>
    onServer(async (server) => {
      const proxy = await Proxy.start(server.port);
      try {
        const run = await Run.of({ store: ofBoth(server, Number(new URL(proxy.url).port)) }, (run) =>
          every(200, run, () => {
            proxy.cutAnswers(Math.random() < 0.5 ? 0 : Math.random() * 200);
            return Promise.resolve();
          }),
        );
        expect(run.problems).toEqual([]);
        expect(run.grants.length).toBeGreaterThan(SECONDS);
      } finally {
        await proxy.stop();
      }
    }),
  );
});

describe('The same checks find at fault', () => {
  it('session-level advisory locks, when connections are ended', { timeout }, () =>
    onServer(async (server) => {
      const store = () => ({ kind: 'advisory', url: server.url(), leaseMs });
      const run = await Run.of({ store, seconds: 4, holdMs: 100 }, (run) =>
        every(200, run, () =>
          query(
            server,
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
              WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
          ),
        ),
      );
      expect(run.problems).toContainEqual(expect.stringContaining('together'));
    }),
  );
});
