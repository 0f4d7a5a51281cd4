// What many locks and many waits cost the server. `npm run test:many` shows the first for a million of them.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Pool } from 'pg';
import { afterAll, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { PostgresStore } from '../../../src/stores/postgres/index.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { Stores } from '../../support/postgres/stores.js';

const MANY = Number(process.env['SEMLOCK_MANY_LOCKS'] ?? 4_000);
const NAMES = 100;
const HELD = 10_000;
const WATCH_MS = 5_000;
const [WAITS, LINES] = [200, 10];
const MOST_SHARE = 0.01;

const stores = new Stores();
const servers: PostgresServer[] = [];

afterAll(async () => {
  await stores.close();
  for (const server of servers) await server.remove();
});

async function started(settings: Readonly<Record<string, string>> = {}) {
  const server = await PostgresServer.start(settings);
  servers.push(server);
  const admin = stores.pool(server.url(), { max: 1 });
  await stores.store({ pool: admin }).migrate();
  return { server, admin };
}

/** How long the server and all its connections, also those that have ended, have used a processor. */
function processorMs(server: PostgresServer): number {
  const [postmaster = ''] = readFileSync(`${server.folder}/data/postmaster.pid`, 'utf8').split('\n');
  const children = execFileSync('pgrep', ['-P', postmaster], { encoding: 'utf8' }).split('\n').filter(Boolean);
  // In ns: what is counted in ticks of 10 ms is more than the little that is looked for.
  const own = [postmaster, ...children].map((pid) =>
    Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]),
  );
  const fields = readFileSync(`/proc/${postmaster}/stat`, 'utf8').split(') ')[1]!.split(' ').map(Number);
  const ended = fields.slice(13, 15).map((ticks) => ticks * 1e7);
  return [...own, ...ended].reduce((sum, ns) => sum + ns, 0) / 1e6;
}

/** The share of a processor that the server uses from now on. */
async function shareOf(server: PostgresServer): Promise<number> {
  await sleep(1_000); // what was begun before is done
  const before = processorMs(server);
  await sleep(WATCH_MS);
  return (processorMs(server) - before) / WATCH_MS;
}

async function bytesOf(admin: Pool): Promise<number> {
  const { rows } = await admin.query<{ bytes: string }>(
    `SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class WHERE relnamespace = 'semlock'::regnamespace AND relkind = 'r'`,
  );
  return Number(rows[0]!.bytes);
}

describe('The tables', () => {
  it(`do not grow with the number of locks that were held (${MANY})`, { timeout: 60_000 + MANY * 5 }, async () => {
    const { server, admin } = await started({ autovacuum_naptime: '1s' });
    // So few locks may be over before the server sees to its tables by itself.
    const vacuum = MANY < 100_000 ? 'VACUUM semlock.locks, semlock.requests, semlock.sessions' : 'SELECT';
    const store = stores.store({ pool: stores.pool(server.url(), { max: 8 }), leaseMs: 60_000 });
    const take = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 8)
        await new Lock(`lock ${n % NAMES}`, { store, namespace: 'many' }).run(() => undefined);
    };
    /** The largest size while they are taken. */
    const takeAll = async (from: number, to: number): Promise<number> => {
      let most = 0;
      for (let at = from, step = MANY / 20; at < to; at += step) {
        await Promise.all(Array.from({ length: 8 }, (_, worker) => take(at + worker, at + step)));
        await admin.query(vacuum);
        most = Math.max(most, await bytesOf(admin));
      }
      return most;
    };
    const early = await takeAll(0, MANY / 2);
    const late = await takeAll(MANY / 2, MANY);
    console.log(`${MANY} locks: ${early >> 10} KiB in the first half, ${late >> 10} KiB in the second`);
    expect(late).toBeLessThan(1.5 * early); // and more and more, if the room were not used again
    const { rows: left } = await admin.query<{ requests: number; sessions: number; locks: number }>(
      `SELECT (SELECT count(*)::int FROM semlock.requests) AS requests, (SELECT count(*)::int FROM semlock.sessions) AS sessions,
        (SELECT count(*)::int FROM semlock.locks) AS locks`,
    );
    expect(left).toMatchObject([{ requests: 0, sessions: 1 }]);
    expect(left[0]!.locks).toBeLessThanOrEqual(NAMES); // fewer, where some were not used for a while
    const { rows } = await admin.query<{ share: number }>(
      `SELECT n_tup_hot_upd::float / n_tup_upd AS share FROM pg_stat_user_tables WHERE relname = 'locks'`,
    );
    expect(rows[0]!.share).toBeGreaterThan(0.9); // changed without a change of an index
  });
});

describe(`${HELD} locks of a process`, () => {
  it('are kept by one renewal each third of a lease, and cost no room', { timeout: 120_000 }, async () => {
    const { server, admin } = await started();
    const store = stores.store({ pool: stores.pool(server.url(), { max: 8 }), leaseMs: 3 * WATCH_MS });
    const holds = await Promise.all(
      Array.from({ length: HELD }, (_, n) => new Lock(`lock ${n}`, { store, namespace: 'held' }).acquire()),
    );
    const look = async () => {
      const { rows } = await admin.query<{ done: number }>(
        `SELECT xact_commit::int AS done FROM pg_stat_database WHERE datname = current_database()`,
      );
      return { done: rows[0]!.done, bytes: await bytesOf(admin) };
    };
    // What was begun before may not be done where the machine is busy; a cost of each lock would be there at any time.
    const quiet = { transactions: Infinity, bytes: Infinity };
    for (let looks = 0; looks < 5 && (quiet.transactions > 20 || quiet.bytes > 0); looks += 1) {
      const before = await look();
      await sleep(WATCH_MS);
      const after = await look();
      quiet.transactions = Math.min(quiet.transactions, after.done - before.done);
      quiet.bytes = Math.min(quiet.bytes, after.bytes - before.bytes);
    }
    console.log(`${HELD} locks: ${quiet.transactions} transactions in ${WATCH_MS} ms, ${quiet.bytes} bytes more`);
    expect(quiet.transactions).toBeLessThanOrEqual(20); // with those of this test, and of the server itself
    expect(quiet.bytes).toBeLessThanOrEqual(0);
    expect(holds.filter(({ lost }) => lost !== undefined)).toEqual([]);
  });
});

describe(`${WAITS} waits of a process`, () => {
  it('keep one connection for notices, and cost the server next to nothing', { timeout: 90_000 }, async () => {
    const { server, admin } = await started();
    const [holder, waiter] = ['holder', 'waiter'].map((application_name) => {
      const pool = stores.pool(server.url(), { application_name, max: 1 });
      return stores.store({ pool, leaseMs: 15_000 });
    }) as [PostgresStore, PostgresStore];
    const namespace = 'waits';
    const lockOf = (n: number, store: PostgresStore): Lock => new Lock(`lock ${n % LINES}`, { store, namespace });
    const holds = await Promise.all(Array.from({ length: LINES }, (_, n) => lockOf(n, holder).acquire()));
    const without = await shareOf(server);
    const end = new AbortController();
    const waits = Array.from({ length: WAITS }, (_, n) =>
      lockOf(n, waiter)
        .acquire({ signal: end.signal })
        .catch(() => undefined),
    );
    const pending = async (): Promise<number> => (await waiter.query!({ namespace })).pending.length;
    await expect.poll(pending, { timeout: 15_000 }).toBe(LINES); // the heads of the lines
    let share = Infinity;
    // As a rule 0.2 %. What else the machine does, such as a vacuum that falls into this time, may add to that now and then.
    for (let looks = 0; looks < 3 && share > MOST_SHARE; looks += 1)
      share = Math.min(share, (await shareOf(server)) - without);
    const { rows } = await admin.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'waiter'`,
    );
    console.log(`${WAITS} waits: ${rows[0]!.n} connections, ${(share * 100).toFixed(2)} % of a processor`);
    end.abort();
    await Promise.all(waits);
    for (const hold of holds) await hold[Symbol.asyncDispose]();
    expect(share).toBeLessThan(MOST_SHARE);
    expect(rows[0]!.n).toBe(2); // the only one of the pool, which others can use, and one for notices
  });
});
