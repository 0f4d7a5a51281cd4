// What the script makes of requests that come twice, late or in the wrong order, and of a server that has lost something. Each
// of these is rare, so runs of processes hardly ever meet it.

import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { connectionOf } from '../../../src/stores/redis/clients.js';
import { keyOf } from '../../../src/stores/redis/keys.js';
import { RedisBackend } from '../../../src/stores/redis/redis-backend.js';
import type { SessionId } from '../../../src/stores/remote/backend.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 1_000;
const server = await RedisServer.start();
await server.isOlderThan(leaseMs);
const client = new Redis(server.port);
const backend = new RedisBackend(() => Promise.resolve(connectionOf(client, false)), {
  prefix: 'semlock',
  replicas: 0,
});
afterAll(async () => {
  client.disconnect();
  await backend.close();
  await server.stop();
});

let made = 0;
/** Two sessions of a namespace of their own, and what each asks. */
async function two() {
  made += 1;
  const namespace = `protocol ${made}`;
  const lock = { namespace, name: 'file', permits: 1, keyed: false };
  const begin = async (sid: string, suspect = false) => {
    const session: SessionId = { namespace, sid };
    await backend.begin(session, leaseMs, suspect);
    const ask = (request: number, wait = false) => {
      return backend.acquire(session, { lock, request, mode: 'exclusive', wait, steal: false });
    };
    const release = (request: number, token: number) => {
      return backend.release(session, lock, { name: 'file', request, token }, false);
    };
    return { session, ask, release, cancel: (request: number) => backend.cancel(session, lock, request) };
  };
  return { namespace, begin, a: await begin(`1-0-a${made}`), b: await begin(`2-0-b${made}`) };
}

async function granted(answer: ReturnType<Awaited<ReturnType<typeof two>>['a']['ask']>): Promise<number> {
  const found = await answer;
  if (found.is !== 'granted') throw new Error(`it was ${found.is}`);
  return found.token;
}

describe('A request', () => {
  it('that comes twice is granted once', async () => {
    const { a, b } = await two();
    const token = await granted(a.ask(1));
    expect(await granted(a.ask(1))).toBe(token);
    expect(await a.release(1, token)).toBe(true);
    await granted(b.ask(1));
  });

  it('that comes late, after it was released, is over', async () => {
    const { a, b } = await two();
    await a.release(1, await granted(a.ask(1)));
    expect(await a.ask(1)).toEqual({ is: 'over' });
    await granted(b.ask(1));
  });

  it('that comes after it was given up is over', async () => {
    const { a, b } = await two();
    await a.cancel(1);
    expect(await a.ask(1, true)).toEqual({ is: 'over' });
    await granted(b.ask(1));
  });

  it('that was granted as it was given up leaves the lock free', async () => {
    const { a, b } = await two();
    const token = await granted(a.ask(1));
    expect((await b.ask(1, true)).is).toBe('queued');
    await a.release(1, token);
    await b.cancel(1);
    await granted(a.ask(2));
  });

  it('to release that comes twice counts as done, and touches nobody else', async () => {
    const { a, b } = await two();
    const token = await granted(a.ask(1));
    expect(await a.release(1, token)).toBe(true);
    await granted(b.ask(1));
    expect(await a.release(1, token)).toBe(true);
    expect(await a.ask(2)).toEqual({ is: 'busy' });
  });

  it('to release what was stolen says so', async () => {
    const { a, b, namespace } = await two();
    const token = await granted(a.ask(1));
    const lock = { namespace, name: 'file', permits: 1, keyed: false };
    await granted(backend.acquire(b.session, { lock, request: 1, mode: 'exclusive', wait: false, steal: true }));
    expect(await a.release(1, token)).toBe(false);
    expect(await backend.renew(a.session, leaseMs, [])).toMatchObject({ alive: true, held: 0, stolen: [token] });
    expect(await backend.renew(a.session, leaseMs, [token])).toMatchObject({ stolen: [] });
  });
});

describe('A lock that nobody else wants', () => {
  it('costs three commands of the server, and two when it is given back', async () => {
    const { a } = await two();
    await a.release(1, await granted(a.ask(1))); // the first to ask looks at the server
    const before = await commandCalls();
    for (let request = 2; request < 102; request += 1) await a.release(request, await granted(a.ask(request)));
    const after = await commandCalls();
    const calls = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]);
    expect(Object.fromEntries(calls.filter(([name, count]) => count !== 0 && name !== 'info'))).toEqual({
      evalsha: 200,
      time: 100,
      hmget: 100,
      hset: 100,
      hget: 100,
      hdel: 100,
    });
    expect(after['info']! - before['info']!).toBe(1); // which is how this was asked
  });

  it('is counted by the server and the process in the same way, whatever becomes of it', async () => {
    const { a, b, namespace } = await two();
    const lock = { namespace, name: 'file', permits: 1, keyed: false };
    const held = async () => {
      const renewal = await backend.renew(a.session, leaseMs, []);
      return renewal.alive && backend.heldOf(a.session, renewal.held);
    };
    const first = await granted(a.ask(1));
    expect(await held()).toBe(1);
    await a.release(1, first);
    await a.release(1, first); // as a client that asks again: it is one release to this process
    expect(await held()).toBe(-1); // and so it is looked into
    expect(await backend.holdings(a.session)).toEqual([]);
    expect(await held()).toBe(0);
    await granted(a.ask(2));
    await a.cancel(2);
    expect(await held()).toBe(0);
    await granted(a.ask(3));
    await granted(backend.acquire(b.session, { lock, request: 1, mode: 'exclusive', wait: false, steal: true }));
    expect(await held()).toBe(0);
  });
});

describe('A session', () => {
  it('that has expired gets nothing, and does not come back', async () => {
    const { a, b } = await two();
    await granted(a.ask(1));
    const keep = setInterval(() => void backend.renew(b.session, leaseMs, []), leaseMs / 4);
    await sleep(leaseMs + 50);
    clearInterval(keep);
    expect(await backend.renew(a.session, leaseMs, [])).toEqual({ alive: false });
    expect(await a.ask(2)).toEqual({ is: 'expired' });
    expect(await b.ask(1)).toMatchObject({ is: 'granted', abandoned: true });
  });

  it('in line that is dead is passed over', async () => {
    const { a, b, begin } = await two();
    const token = await granted(a.ask(1));
    await b.ask(1, true);
    const c = await begin(`3-0-c${made}`);
    await c.ask(1, true);
    await backend.end(b.session);
    await a.release(1, token);
    expect((await c.ask(1, true)).is).toBe('granted');
  });
});

describe('When the data is gone', () => {
  it('nothing is granted for a lease to one that is new, since somebody listens', async () => {
    const { a, begin } = await two();
    const stop = await backend.listen(a.session, () => undefined);
    const token = await granted(a.ask(1));
    await server.command('FLUSHALL');
    // As of another process, which does not listen yet.
    const other = new RedisBackend(() => Promise.resolve(connectionOf(client, false)), {
      prefix: 'semlock',
      replicas: 0,
    });
    const session = { namespace: a.session.namespace, sid: `9-0-new${made}` };
    await other.begin(session, leaseMs, false);
    const lock = { namespace: session.namespace, name: 'file', permits: 1, keyed: false };
    const ask = (request: number) =>
      other.acquire(session, { lock, request, mode: 'exclusive', wait: false, steal: false });
    expect(await ask(1)).toEqual({ is: 'busy' });
    expect(await a.ask(2)).toEqual({ is: 'expired' });
    stop();
    for (let left = leaseMs + 100; left > 0; left -= 250) {
      await sleep(250);
      await other.renew(session, leaseMs, []);
    }
    const later = await ask(2);
    expect(later.is === 'granted' && later.token > token).toBe(true);
    await begin(`8-0-d${made}`);
  });

  it('nothing is granted for a lease when one that was alive says so', async () => {
    const { begin } = await two();
    await server.command('FLUSHALL');
    const again = await begin(`7-0-e${made}`, true);
    expect(await again.ask(1)).toEqual({ is: 'busy' });
    const answer = await again.ask(2, true);
    expect(answer.is === 'queued' && answer.againMs > 0 && answer.againMs <= leaseMs + 1).toBe(true);
  });

  it('nor when the server is another run of itself', async () => {
    const { a, namespace } = await two();
    await becomeAnother(namespace);
    expect(await a.ask(1)).toEqual({ is: 'busy' });
  });

  it('nor when it was started again from what it had saved, even if nobody has renewed since', async () => {
    const own = await RedisServer.start();
    const ownClient = new Redis(own.port, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    ownClient.on('error', () => undefined);
    onTestFinished(async () => {
      ownClient.disconnect();
      await own.stop();
    });
    await own.isOlderThan(leaseMs);
    const options = { prefix: 'semlock', replicas: 0 };
    const other = new RedisBackend(() => Promise.resolve(connectionOf(ownClient, false)), options);
    const session = { namespace: 'started again', sid: '1-0-a' };
    const lock = { namespace: session.namespace, name: 'file', permits: 1, keyed: false };
    const ask = (request: number) =>
      other.acquire(session, { lock, request, mode: 'exclusive', wait: false, steal: false });
    await other.begin(session, leaseMs, false);
    await other.renew(session, 20_000, []); // it is alive, and has no need to renew, when the server is back
    expect((await ask(1)).is).toBe('granted');
    await other.release(session, lock, (await other.holdings(session))[0]!, false);
    await own.command('SAVE');
    await own.kill();
    await own.start();
    expect(await ask(2)).toEqual({ is: 'busy' });
  });

  it('nor is anything handed on then', async () => {
    const { a, b, namespace } = await two();
    const token = await granted(a.ask(1));
    await b.ask(1, true);
    await becomeAnother(namespace);
    expect(await a.release(1, token)).toBe(true);
    const answer = await b.ask(1, true);
    expect(answer.is === 'queued' && answer.againMs > 0 && answer.againMs <= leaseMs + 1).toBe(true);
  });
});

describe('When the clock of the server was set', () => {
  const HOUR_MS = 3_600_000;

  it('back, who is dead is found after a lease, and tokens still grow', async () => {
    const { a, b, namespace } = await two();
    const token = await granted(a.ask(1));
    await wasWrittenAt(namespace, HOUR_MS, [a, b]);
    const keep = setInterval(() => void backend.renew(b.session, leaseMs, []), leaseMs / 4);
    expect(await b.ask(1)).toEqual({ is: 'busy' });
    expect(await backend.renew(a.session, leaseMs, [])).toMatchObject({ alive: true });
    await b.ask(2, true);
    await expect.poll(async () => (await b.ask(2, true)).is, { timeout: 10 * leaseMs }).toBe('granted');
    clearInterval(keep);
    expect(await granted(b.ask(2))).toBeGreaterThan(token + 1000 * HOUR_MS);
  });

  it('forward, a holder is told by its next renewal, and tokens still grow', async () => {
    const { a, b, namespace } = await two();
    const token = await granted(a.ask(1));
    await wasWrittenAt(namespace, -HOUR_MS, [a]);
    expect(await backend.renew(a.session, leaseMs, [])).toEqual({ alive: false });
    expect(await granted(b.ask(1))).toBeGreaterThan(token);
  });
});

/** How often each command was run, also by scripts. */
async function commandCalls(): Promise<Record<string, number>> {
  const stats = await server.command('INFO', 'commandstats');
  return Object.fromEntries(
    [...stats.matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)].map(([, name, n]) => [name, Number(n)]),
  );
}

/** As if the clock had been so far ahead, by now, when that was written which is there of these sessions and of the last token. */
async function wasWrittenAt(
  namespace: string,
  ms: number,
  sessions: readonly { readonly session: SessionId }[],
): Promise<void> {
  await client.eval(
    `local ahead = tonumber(ARGV[1])
     local last = struct.unpack('<d', redis.call('HGET', KEYS[1], 'm'))
     local rest = string.sub(redis.call('HGET', KEYS[1], 'm'), 9)
     redis.call('HSET', KEYS[1], 'm', struct.pack('<d', last + 1000 * ahead) .. rest)
     for at = 2, #ARGV do
       local packed = redis.call('HGET', KEYS[1], 's' .. ARGV[at])
       local expiry, lease, request, count = struct.unpack('<dddd', packed)
       packed = struct.pack('<dddd', expiry + ahead, lease, request, count) .. string.sub(packed, 33)
       redis.call('HSET', KEYS[1], 's' .. ARGV[at], packed)
     end`,
    1,
    keyOf('semlock', namespace),
    ms,
    ...sessions.map(({ session }) => session.sid),
  );
}

/** As if what is there had been written by another server. */
async function becomeAnother(namespace: string): Promise<void> {
  await client.eval(
    `local last, quarantine, longest, seen, cursor = struct.unpack('<dddds', redis.call('HGET', KEYS[1], 'm'))
     local other = struct.pack('<ddddsss', last, quarantine, longest, seen, cursor, 'another', 'elsewhere')
     return redis.call('HSET', KEYS[1], 'm', other)`,
    1,
    keyOf('semlock', namespace),
  );
}
