// Runs that every store on a server has to stand, whatever that is: what its processes wrote down is checked. Nobody had the
// lock together with another who had not been told of its loss before, tokens grew, and a register that refuses old tokens
// lost no update.

import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { Proxy } from './proxy.js';
import { Run, SECONDS, timeout, type RunOptions } from '../history/run.js';

interface Server {
  readonly port: number;
}

/** A kind of server, and how it is reached. */
export interface Kind<S extends Server> {
  /** Has a server of its own for a test. */
  onServer(test: (server: S) => Promise<void>): Promise<void>;
  /** What processes are told of it; the clients of both kinds take turns. */
  ofBoth(server: S, leaseMs: number, port?: number): RunOptions['store'];
}

const leaseMs = 2_000;

export function testHistories<S extends Server>({ onServer, ofBoth }: Kind<S>): void {
  const throughProxy = (test: (server: S, proxy: Proxy) => Promise<void>): Promise<void> =>
    onServer(async (server) => {
      const proxy = await Proxy.start(server.port);
      try {
        await test(server, proxy);
      } finally {
        await proxy.stop();
      }
    });

  it('when nothing goes wrong', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server, 10_000), grants: 5 * SECONDS });
      expect(run.problems).toEqual([]);
      expect(run.failures).toEqual([]);
      expect(run.grants.filter(({ lost }) => lost !== undefined)).toEqual([]);
    }),
  );

  it.each([1, 3])('of %i permits, with holders that are killed', { timeout }, (permits) =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server, leaseMs), permits, grants: 5 * SECONDS }, (run) =>
        run.every(700, async () => {
          await run.kill(run.holder());
          await run.startClient();
          await run.granted();
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('with holders that are stopped for longer than their lease', { timeout }, () =>
    onServer(async (server) => {
      const run = await Run.of({ store: ofBoth(server, leaseMs), holdMs: 20, grants: 3 * SECONDS }, (run) =>
        run.every(100, () => run.pause(run.holder(), 1.6 * leaseMs)),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it.each(['deaf', 'mute'] as const)('when the network between some and the server is %s', { timeout }, (way) =>
    throughProxy(async (server, proxy) => {
      const store: RunOptions['store'] = (client) =>
        ofBoth(server, leaseMs, client < 2 ? proxy.port : server.port)(client);
      const run = await Run.of({ store, seconds: 2 * SECONDS, holdMs: 20, grants: 3 * SECONDS }, (run) =>
        run.every(500, async () => {
          proxy.way = way;
          await sleep(2 * leaseMs);
          proxy.way = 'open';
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );

  it('when answers are lost, so that clients ask again, and what they asked before comes late', { timeout }, () =>
    throughProxy(async (server, proxy) => {
      const store = ofBoth(server, leaseMs, proxy.port);
      const run = await Run.of({ store, grants: 2 * SECONDS }, (run) =>
        run.every(200, async () => {
          proxy.cutAnswers(Math.random() < 0.5 ? 0 : Math.random() * 200);
          await run.granted();
        }),
      );
      expect(run.problems).toEqual([]);
    }),
  );
}

/** Runs with a lock that is at fault, which not each run shows; what was wrong in the last one. */
export async function problemsOf(run: () => Promise<Run>): Promise<readonly string[]> {
  for (let tries = 1; ; tries += 1) {
    const { problems } = await run();
    if (tries === 3 || problems.some((problem) => problem.includes('together'))) return problems;
  }
}
