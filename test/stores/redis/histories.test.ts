// Processes that use a lock on a Redis server without a plan, while processes, the server and the network fail: see
// test/support/remote/histories.ts.

import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { RedisServer } from '../../support/redis/server.js';
import { problemsOf, testHistories, type Kind } from '../../support/remote/histories.js';
import { Run, SECONDS, timeout } from '../../support/history/run.js';

const leaseMs = 2_000;

async function onServer(options: string[], test: (server: RedisServer) => Promise<void>): Promise<void> {
  const server = await RedisServer.start(options);
  try {
    await server.isOlderThan(leaseMs);
    await test(server);
  } finally {
    await server.stop();
  }
}

const ofBoth: Kind<RedisServer>['ofBoth'] =
  ({ port: direct }, leaseMs, port = direct) =>
  (client) => ({ kind: client % 2 === 0 ? 'ioredis' : 'node-redis', url: `redis://127.0.0.1:${port}`, leaseMs });

describe.concurrent('A run is right', () => {
  testHistories({ onServer: (test) => onServer([], test), ofBoth });

  it.each([
    ['without persistence', []],
    ['with persistence', ['--appendonly', 'yes']],
  ])('when the server is killed and starts again %s', { timeout }, (_how, options) =>
    onServer(options, async (server) => {
      const run = await Run.of(
        { store: ofBoth(server, leaseMs), seconds: 2 * SECONDS, holdMs: 50, grants: 20 },
        (run) =>
          run.every(1_500, async () => {
            await server.kill();
            await server.start();
            await sleep(3 * leaseMs);
          }),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('when the server is stopped for longer than a lease', { timeout }, () =>
    onServer([], async (server) => {
      const run = await Run.of(
        { store: ofBoth(server, leaseMs), seconds: 2 * SECONDS, holdMs: 50, grants: 20 },
        (run) =>
          run.every(1_000, async () => {
            server.signal('SIGSTOP');
            await sleep(1.5 * leaseMs);
            server.signal('SIGCONT');
            await sleep(2 * leaseMs);
          }),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('when all data of the server is deleted', { timeout }, () =>
    onServer([], async (server) => {
      const run = await Run.of({ store: ofBoth(server, leaseMs), holdMs: 100, grants: 20 }, (run) =>
        run.every(1_500, async () => {
          await server.command('FLUSHALL');
          await run.startClient(); // one who knows of nothing
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );
});

describe.concurrent.each([
  ['a key with a time to live', 'set-nx'],
  ['redlock', 'redlock'],
])('The same checks find at fault %s', (_what, kind) => {
  const store = (url: string) => () => ({ kind, url, leaseMs });

  it('when a holder is busy', { timeout }, () =>
    onServer([], async ({ url }) => {
      const problems = await problemsOf(() =>
        Run.of({ store: store(url), seconds: 4 }, async (run) => {
          await sleep(100);
          for (let at = 0; at < run.clientCount; at += 1) run.block(at, 1.5 * leaseMs);
        }),
      );
      expect(problems).toContainEqual(expect.stringContaining('together'));
    }),
  );

  it('when the data is deleted', { timeout }, () =>
    onServer([], async (server) => {
      const problems = await problemsOf(() =>
        Run.of({ store: store(server.url), seconds: 4, holdMs: 100 }, (run) =>
          run.every(200, () => server.command('FLUSHALL')),
        ),
      );
      expect(problems).toContainEqual(expect.stringContaining('together'));
    }),
  );
});
