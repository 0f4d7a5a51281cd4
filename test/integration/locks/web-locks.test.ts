// The rules of the Web Locks API between processes. What one client sees of them is in test/unit/lock.

import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it, describe } from 'vitest';

import { createLocks } from '../../../src/web-locks/lock-manager.js';
import { scratchNamespace } from '../../support/shm.js';
import { startClient, type Client, type RemoteOptions, type RemoteRequest } from './client.js';

type RemoteClient = Awaited<ReturnType<typeof startClient>>;
type Caller = Pick<Client, 'request' | 'query'>;

/** A namespace with some processes in it, and a look at it from this one, which takes no part. */
async function clients(count: 2 | 3) {
  const namespace = scratchNamespace();
  const started = await Promise.all(Array.from({ length: count }, () => startClient(namespace)));
  const all = started as readonly RemoteClient[] as readonly [RemoteClient, RemoteClient, RemoteClient];
  const locks = createLocks({ namespace });
  const pending = async () => (await locks.query()).pending.map(({ clientId }) => clientId);
  /** Requests that have to wait, each made when the one before is seen to wait. */
  const queue = async (...requests: [Caller, string, RemoteOptions?][]): Promise<RemoteRequest[]> => {
    const made: RemoteRequest[] = [];
    for (const [client, name, options] of requests) {
      const before = (await pending()).length;
      made.push(client.request(name, options));
      await expect.poll(pending, { interval: 2 }).toHaveLength(before + 1);
    }
    return made;
  };
  return { all, locks, pending, queue };
}

/** Lets each request end as soon as it is granted; gives the order in which that was. */
async function orderOf(requests: RemoteRequest[]): Promise<number[]> {
  const order: number[] = [];
  await Promise.all(
    requests.map(async (each, index) => {
      await each.granted;
      order.push(index);
      each.end();
      await each.settled;
    }),
  );
  return order;
}

async function take(client: Caller, name: string, options?: RemoteOptions) {
  const request = client.request(name, options);
  const granted = (await request.granted)!;
  return { ...granted, ...request, request };
}

const ABORT_ERROR = { error: { kind: 'AbortError', isDomException: true } };

describe('requests of several processes', () => {
  it('for one name are served in the order in which all of them made them', async () => {
    const { all, queue } = await clients(3);
    const [a, b, c] = all;
    const holder = await take(a, 'x');
    const requests = await queue([b, 'x'], [b, 'x'], [c, 'x'], [a, 'x'], [b, 'x'], [c, 'x']);
    holder.end();
    expect(await orderOf(requests)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('exclude each other by name, until the promise of the one that has the lock settles', async () => {
    const { all } = await clients(2);
    const holder = await take(all[0], 'x');
    expect(await all[1].request('x', { ifAvailable: true }).granted).toBeNull();
    expect(await all[1].request('y', { ifAvailable: true }).granted).not.toBeNull();
    holder.end();
    await holder.settled;
    // The release comes before the promise settles, so from then on anybody finds it free.
    expect(await all[1].request('x', { ifAvailable: true }).granted).not.toBeNull();
  });

  it('enter together when they are shared, but not past an exclusive one', async () => {
    const { all, queue } = await clients(3);
    const [a, b, c] = all;
    const readers = [await take(a, 'x', { mode: 'shared' }), await take(b, 'x', { mode: 'shared' })];
    const [writer, late] = await queue([c, 'x'], [a, 'x', { mode: 'shared' }]);
    expect(await b.request('x', { mode: 'shared', ifAvailable: true }).granted).toBeNull();
    for (const each of readers) each.end();
    await writer!.granted;
    expect(await Promise.race([late!.granted, sleep(50, 'waits')])).toBe('waits');
    writer!.end();
    expect(await late!.granted).toMatchObject({ mode: 'shared' });
  });

  it('that are aborted leave the queue, and the next one is served', async () => {
    const { all, queue } = await clients(3);
    const [a, b, c] = all;
    await take(a, 'x', { mode: 'shared' });
    const [writer, reader] = await queue([b, 'x', { abortable: true }], [c, 'x', { mode: 'shared' }]);
    writer!.abort();
    expect(await writer!.settled).toMatchObject(ABORT_ERROR);
    expect(await reader!.granted).toMatchObject({ mode: 'shared' });
  });

  it('that time out leave the queue too', async () => {
    const { all } = await clients(2);
    await take(all[0], 'x', { mode: 'shared' });
    const writer = all[1].request('x', { timeoutMs: 50 });
    expect(await writer.settled).toMatchObject({ error: { code: 'ERR_SEMLOCK_TIMEOUT' } });
    expect(await all[1].request('x', { mode: 'shared' }).granted).not.toBeNull();
  });

  it('must agree on the permits of a name', async () => {
    const { all } = await clients(2);
    await take(all[0], 'x', { permits: 2 });
    expect(await all[1].request('x').settled).toMatchObject({ error: { code: 'ERR_SEMLOCK_MISMATCH' } });
    expect(await all[1].request('x', { permits: 2 }).granted).not.toBeNull();
  });

  it.each(['', '\0', 'a\0b', '\ud800', '\udc00\ud800', '🔒'.repeat(500)])(
    'mean the same lock by the name %j, and another one by any other',
    async (name) => {
      const { all } = await clients(2);
      expect(await take(all[0], name)).toMatchObject({ name });
      expect(await all[1].request(name, { ifAvailable: true }).granted).toBeNull();
      const other = /\p{Surrogate}/u.test(name) ? name.replaceAll(/\p{Surrogate}/gu, '\ufffd') : `${name}\0`;
      expect(await all[1].request(other, { ifAvailable: true }).granted).not.toBeNull();
    },
  );
});

describe('a theft between processes', () => {
  it('tells the robbed holder: its signal aborts and its request rejects with an AbortError', async () => {
    const { all } = await clients(2);
    const robbed = await take(all[0], 'x');
    const thief = await take(all[1], 'x', { steal: true });
    await robbed.stolen;
    expect(await robbed.settled).toMatchObject(ABORT_ERROR);
    expect(thief.token).toBeGreaterThan(robbed.token);
    expect(thief.abandoned).toBe(false);
  });

  it('leaves nothing to the late release of who was robbed', async () => {
    const { all, locks } = await clients(2);
    const robbed = await take(all[0], 'x');
    const thief = await take(all[1], 'x', { steal: true });
    await robbed.settled;
    robbed.end();
    const [held, ...others] = (await locks.query()).held;
    expect(held).toMatchObject({ pid: all[1].pid, token: thief.token });
    expect(others).toEqual([]);
    expect(await all[0].request('x', { ifAvailable: true }).granted).toBeNull();
    thief.end();
    await thief.settled;
    expect(await all[0].request('x', { ifAvailable: true }).granted).not.toBeNull();
  });

  it('takes the lock from readers in several processes, and comes before all who wait', async () => {
    const { all, queue } = await clients(3);
    const [a, b, c] = all;
    const readers = [await take(a, 'x', { mode: 'shared' }), await take(b, 'x', { mode: 'shared' })];
    const [waits] = await queue([a, 'x']);
    const thief = await take(c, 'x', { steal: true });
    for (const each of readers) expect(await each.settled).toMatchObject(ABORT_ERROR);
    expect(await Promise.race([waits!.granted, sleep(50, 'waits')])).toBe('waits');
    thief.end();
    expect(await waits!.granted).not.toBeNull();
  });
});

describe('query()', () => {
  it('shows the same to all: what each client holds, and what it waits for, in order', async () => {
    const { all, locks, queue } = await clients(2);
    const [a, b] = all;
    const thread = all[0].startThread();
    await take(a, 'x');
    await take(b, 'y', { mode: 'shared' });
    await take(thread, 'z');
    await queue([b, 'x', { mode: 'shared' }], [a, 'x'], [b, 'x'], [thread, 'x'], [a, 'y'], [a, 'y']);

    const { held, pending } = await locks.query();
    const clientOf = (name: string) => held.find((each) => each.name === name)!.clientId;
    const [idOfA, idOfB, idOfThread] = [clientOf('x'), clientOf('y'), clientOf('z')];
    expect(new Set([idOfA, idOfB, idOfThread]).size).toBe(3);
    expect(held.map(({ name, mode, pid }) => [name, mode, pid])).toEqual([
      ['x', 'exclusive', a.pid],
      ['y', 'shared', b.pid],
      ['z', 'exclusive', a.pid],
    ]);
    const waitFor = (lock: string) => pending.filter(({ name }) => name === lock);
    expect(waitFor('x').map(({ mode, clientId }) => [mode, clientId])).toEqual([
      ['shared', idOfB],
      ['exclusive', idOfA],
      ['exclusive', idOfB],
      ['exclusive', idOfThread],
    ]);
    expect(waitFor('y').map(({ clientId }) => clientId)).toEqual([idOfA, idOfA]);
    expect(waitFor('x').map(({ pid }) => pid)).toEqual([b.pid, a.pid, b.pid, a.pid]);

    for (const client of [a, b, thread]) {
      const seen = await client.query();
      expect(JSON.parse(JSON.stringify(seen))).toEqual(JSON.parse(JSON.stringify({ held, pending, gaps: [] })));
    }
  });
});

describe('the death of a client', () => {
  const median = (numbers: number[]) => numbers.sort((one, other) => one - other)[numbers.length >> 1]!;

  it('gives what it held to the next one within 100 ms, and says that it was abandoned', async () => {
    const times: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { all, queue } = await clients(2);
      const holder = await take(all[0], 'x');
      const [next] = await queue([all[1], 'x']);
      const killed = Date.now();
      await all[0].kill();
      expect(await next!.granted).toMatchObject({ abandoned: true });
      expect((await next!.granted)!.token).toBeGreaterThan(holder.token);
      times.push((await next!.grantedAt) - killed);
    }
    expect(median(times)).toBeLessThan(100);
  });

  it('drops its requests, whereupon the next one is served within 100 ms', async () => {
    const times: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { all, queue, pending } = await clients(3);
      const [holder, waiter, next] = all;
      await take(holder, 'x', { mode: 'shared' });
      // Only the writer, which is going to die, keeps the reader from entering.
      const [, , reader] = await queue([waiter, 'x'], [waiter, 'x'], [next, 'x', { mode: 'shared' }]);
      const killed = Date.now();
      await waiter.kill();
      expect(await reader!.granted).toMatchObject({ abandoned: false });
      times.push((await reader!.grantedAt) - killed);
      expect(await pending()).toEqual([]);
    }
    expect(median(times)).toBeLessThan(100);
  });

  it('that is a thread does the same, though its process goes on', async () => {
    const { all, queue, pending } = await clients(2);
    const thread = all[0].startThread();
    await take(thread, 'x');
    await take(all[1], 'y', { mode: 'shared' });
    const [next, , reader] = await queue([all[0], 'x'], [thread, 'y'], [all[0], 'y', { mode: 'shared' }]);
    thread.terminate();
    expect(await next!.granted).toMatchObject({ abandoned: true });
    expect(await reader!.granted).toMatchObject({ mode: 'shared' });
    expect(await pending()).toEqual([]);
  });
});
