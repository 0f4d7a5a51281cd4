// Processes that use a lock on a Redis server without a plan, while processes, the server and the network fail. What they wrote
// down is checked: nobody had the lock together with another who had not been told of its loss before, tokens grew, and a
// register that refuses old tokens lost no update. `SEMLOCK_RUN_SECONDS` and `SEMLOCK_RUN_CLIENTS` make long runs of them.

import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { Proxy } from '../../support/remote/proxy.js';
import { Run, SECONDS, type RunOptions } from '../../support/remote/run.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 2_000;
const timeout = (SECONDS + 60) * 1000;

async function onServer<T>(options: string[], test: (server: RedisServer) => Promise<T>): Promise<T> {
  const server = await RedisServer.start(options);
  try {
    await server.isOlderThan(leaseMs);
    return await test(server);
  } finally {
    await server.stop();
  }
}

/** The clients of both kinds take turns. */
const ofBoth = (url: string): RunOptions['store'] => {
  return (client) => ({ kind: client % 2 === 0 ? 'ioredis' : 'node-redis', url, leaseMs });
};

async function every(ms: number, run: Run, act: () => Promise<void> | void): Promise<void> {
  for (;;) {
    await sleep(ms);
    if (run.isOver) return;
    await act();
  }
}

describe.concurrent('A run is right', () => {
  it('when nothing goes wrong', { timeout }, () =>
    onServer([], async ({ url }) => {
      const run = await Run.of({ store: ofBoth(url) });
      expect(run.problems).toEqual([]);
      expect(run.failures).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(20 * SECONDS);
      expect(run.grants.filter(({ lost }) => lost !== undefined)).toEqual([]);
    }),
  );

  it('of a semaphore, with processes that are killed', { timeout }, () =>
    onServer([], async ({ url }) => {
      const run = await Run.of({ store: ofBoth(url), permits: 3 }, (run) =>
        every(700, run, async () => {
          await run.kill(run.holder());
          await run.startClient();
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('with holders that are killed', { timeout }, () =>
    onServer([], async ({ url }) => {
      const run = await Run.of({ store: ofBoth(url) }, (run) =>
        every(700, run, async () => {
          await run.kill(run.holder());
          await run.startClient();
        }),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(10 * SECONDS);
    }),
  );

  it('with holders that are stopped for longer than their lease', { timeout }, () =>
    onServer([], async ({ url }) => {
      const run = await Run.of({ store: ofBoth(url), holdMs: 20 }, (run) =>
        every(100, run, () => run.pause(run.holder(), 1.6 * leaseMs)),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(3 * SECONDS);
    }),
  );

  it('and a holder whose main thread is busy for three leases keeps the lock', { timeout }, () =>
    onServer([], async ({ url }) => {
      const run = await Run.of({ store: ofBoth(url) }, async (run) => {
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

  it.each([
    ['without persistence', []],
    ['with persistence', ['--appendonly', 'yes']],
  ])('when the server is killed and starts again %s', { timeout }, (_how, options) =>
    onServer(options, async (server) => {
      const run = await Run.of({ store: ofBoth(server.url), seconds: 2 * SECONDS, holdMs: 50 }, (run) =>
        every(1_500, run, async () => {
          await server.kill();
          await server.start();
          await sleep(3 * leaseMs);
        }),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(20);
    }),
  );

  it('when the server is stopped for longer than a lease', { timeout }, () =>
    onServer([], async (server) => {
      const run = await Run.of({ store: ofBoth(server.url), seconds: 2 * SECONDS, holdMs: 50 }, (run) =>
        every(1_000, run, async () => {
          server.signal('SIGSTOP');
          await sleep(1.5 * leaseMs);
          server.signal('SIGCONT');
          await sleep(2 * leaseMs);
        }),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(20);
    }),
  );

  it('when all data of the server is deleted', { timeout }, () =>
    onServer([], async (server) => {
      const run = await Run.of({ store: ofBoth(server.url), holdMs: 100 }, (run) =>
        every(1_500, run, async () => {
          await server.command('FLUSHALL');
          await run.startClient(); // one who knows of nothing
        }),
      );
      expect(run.problems).toEqual([]);
      expect(run.grants.length).toBeGreaterThan(20);
    }),
  );

  it.each(['deaf', 'mute'] as const)('when the network between some and the server is %s', { timeout }, (way) =>
    onServer([], async (server) => {
      const proxy = await Proxy.start(server.port);
      try {
        const store: RunOptions['store'] = (client) => ofBoth(client < 2 ? proxy.url : server.url)(client);
        const run = await Run.of({ store, seconds: 2 * SECONDS, holdMs: 20 }, (run) =>
          every(500, run, async () => {
            proxy.way = way;
            await sleep(2 * leaseMs);
            proxy.way = 'open';
          }),
        );
        expect(run.problems).toEqual([]);
        expect(run.grants.length).toBeGreaterThan(20);
      } finally {
        await proxy.stop();
      }
    }),
  );

  it('when answers are lost, so that clients ask again, and what they asked before comes late', { timeout }, () =>
    onServer([], async (server) => {
      const proxy = await Proxy.start(server.port);
      try {
        const run = await Run.of({ store: ofBoth(proxy.url) }, (run) =>
          every(100, run, () => proxy.cutAnswers(Math.random() < 0.5 ? 0 : Math.random() * 200)),
        );
        expect(run.problems).toEqual([]);
        expect(run.grants.length).toBeGreaterThan(20);
      } finally {
        await proxy.stop();
      }
    }),
  );
});

describe.concurrent('The same checks find at fault a key with a time to live', () => {
  const store = (url: string) => () => ({ kind: 'set-nx', url, leaseMs });

  it('when a holder is busy', { timeout }, () =>
    onServer([], async ({ url }) => {
      const run = await Run.of({ store: store(url), seconds: 4 }, async (run) => {
        await sleep(100);
        for (let at = 0; at < run.clientCount; at += 1) run.block(at, 1.5 * leaseMs);
      });
      expect(run.problems).toContainEqual(expect.stringContaining('together'));
    }),
  );

  it('when the data is deleted', { timeout }, () =>
    onServer([], async (server) => {
      const run = await Run.of({ store: store(server.url), seconds: 4, holdMs: 100 }, (run) =>
        every(200, run, () => server.command('FLUSHALL').then(() => undefined)),
      );
      expect(run.problems).toContainEqual(expect.stringContaining('together'));
    }),
  );
});
