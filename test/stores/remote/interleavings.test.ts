// What can happen between a question and its answer, each in the one order in which it matters. Runs of processes hardly ever
// meet these; they need no server, since this is about what the client's side makes of it.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { ClosableStore } from '../../../src/store.js';
import type { Backend } from '../../../src/stores/remote/backend.js';
import { remoteStore } from '../../../src/stores/remote/remote-store.js';
import { deferred } from '../../support/deferred.js';
import { FakeServer } from '../../support/remote/fake-backend.js';

const leaseMs = 600;

interface Side {
  readonly store: ClosableStore;
  readonly lock: Lock;
}

function sidesOf(
  server: FakeServer,
  count: number,
  more: { leaseMs?: number; maxHoldMs?: number; backend?: Partial<Backend> } = {},
) {
  const namespace = randomUUID();
  return Array.from({ length: count }, (): Side => {
    const store = remoteStore(server.backend(more.backend), {
      leaseMs: more.leaseMs ?? leaseMs,
      maxHoldMs: more.maxHoldMs,
    });
    onTestFinished(async () => {
      [server.before, server.after] = [() => undefined, () => undefined];
      await store.close();
      expect(server.holders).toEqual([]);
      expect(server.queue).toEqual([]);
    });
    return { store, lock: new Lock('file', { store, namespace }) };
  });
}

/** Has the next answer to an operation come only when the test says so. */
function holdUp(server: FakeServer, when: 'before' | 'after', op: string) {
  const [arrived, go] = [deferred(), deferred()];
  server[when] = async (which) => {
    if (which !== op) return;
    server[when] = () => undefined;
    arrived.resolve();
    await go.promise;
  };
  return { arrived: arrived.promise, go: () => go.resolve() };
}

/** Stops this thread, as all of a process is stopped; a thread that renews is not. */
function stop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('A request', () => {
  it('that is aborted as it is granted leaves the lock free', async () => {
    const server = new FakeServer();
    const [one, two] = sidesOf(server, 2) as [Side, Side];
    const answer = holdUp(server, 'after', 'acquire');
    const controller = new AbortController();
    const asked = one.lock.acquire({ signal: controller.signal });
    await answer.arrived;
    expect(server.holders).toHaveLength(1);
    controller.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    answer.go();
    await (await two.lock.acquire())[Symbol.asyncDispose]();
  });

  it('that is aborted before it reaches the server is over there', async () => {
    const server = new FakeServer();
    const [one, two] = sidesOf(server, 2) as [Side, Side];
    const question = holdUp(server, 'before', 'acquire');
    const controller = new AbortController();
    const asked = one.lock.acquire({ signal: controller.signal });
    await question.arrived;
    controller.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    await expect.poll(() => server.log).toContain('cancel 1');
    question.go(); // it comes late, as from a connection that is dead
    await (await two.lock.acquire())[Symbol.asyncDispose]();
  });

  it('that gives up as it is handed the lock hands it on', async () => {
    const server = new FakeServer();
    const [one, two, three] = sidesOf(server, 3) as [Side, Side, Side];
    const hold = await one.lock.acquire();
    const controller = new AbortController();
    const gaveUp = two.lock.acquire({ signal: controller.signal });
    await expect.poll(() => server.queue.length).toBe(1);
    const next = three.lock.acquire();
    await expect.poll(() => server.queue.length).toBe(2);
    const { sid } = server.queue[0]!;
    server.listeners.set(sid, () => controller.abort(new Error('enough'))); // and the notice is lost
    await hold[Symbol.asyncDispose]();
    await expect(gaveUp).rejects.toThrow('enough');
    await (await next)[Symbol.asyncDispose]();
  });

  it('whose answer is lost asks by the same number, and is granted once', async () => {
    const server = new FakeServer();
    const [{ lock }] = sidesOf(server, 1, { backend: { isRefusal: () => false } }) as [Side];
    server.after = (op) => {
      if (op !== 'acquire') return;
      server.after = () => undefined;
      throw new Error('the connection was closed');
    };
    const hold = await lock.acquire();
    expect(server.log.filter((line) => line.startsWith('acquire'))).toEqual(['acquire 1', 'acquire 1']);
    expect(server.holders).toHaveLength(1);
    await hold[Symbol.asyncDispose]();
  });

  it('that the server refuses fails, and is given up there, whatever became of it', async () => {
    const server = new FakeServer();
    const [{ lock }] = sidesOf(server, 1, { backend: { isRefusal: () => true } }) as [Side];
    server.after = (op) => {
      if (op !== 'acquire') return;
      server.after = () => undefined;
      throw new Error('NOREPLICAS');
    };
    await expect(lock.acquire()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_STORE' });
    await expect.poll(() => server.holders).toEqual([]);
  });

  it('that is told twice that it is granted is one hold', async () => {
    const server = new FakeServer();
    const [one, two] = sidesOf(server, 2) as [Side, Side];
    const hold = await one.lock.acquire();
    const answer = holdUp(server, 'after', 'acquire');
    const asked = two.lock.acquire();
    await answer.arrived; // it is in line, and does not know it yet
    await hold[Symbol.asyncDispose]();
    const next = await asked; // by the notice
    answer.go();
    await next[Symbol.asyncDispose]();
    expect(next.lost).toBeUndefined();
  });

  it('for which the session is over when it is answered asks again in another', async () => {
    const server = new FakeServer();
    const [{ lock }] = sidesOf(server, 1) as [Side];
    const answer = holdUp(server, 'after', 'acquire');
    const asked = lock.acquire();
    await answer.arrived;
    stop(leaseMs);
    answer.go();
    const hold = await asked;
    expect(hold.lost).toBeUndefined();
    expect(server.log.filter((line) => line.startsWith('begin'))).toHaveLength(2);
    await hold[Symbol.asyncDispose]();
  });

  it('in a session that the server has lost asks in another, and says that it was lost', async () => {
    const server = new FakeServer();
    const [{ lock }] = sidesOf(server, 1) as [Side];
    await (await lock.acquire())[Symbol.asyncDispose]();
    server.sessions.clear();
    const hold = await lock.acquire();
    expect(hold.lost).toBeUndefined();
    expect(server.log).toContain('begin suspect');
    await hold[Symbol.asyncDispose]();
  });

  it('that waits when the store is closed is rejected, and so is one that is answered after', async () => {
    const server = new FakeServer();
    const [one, two] = sidesOf(server, 2) as [Side, Side];
    const hold = await one.lock.acquire();
    const waiting = two.lock.acquire();
    await expect.poll(() => server.queue.length).toBe(1);
    const answer = holdUp(server, 'after', 'acquire');
    const another = new Lock('another', { store: two.store, namespace: two.lock.namespace });
    const tried = another.acquire({ ifAvailable: true });
    await answer.arrived;
    const closed = two.store.close();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_SEMLOCK_CLOSED' });
    await closed;
    answer.go();
    await expect(tried).rejects.toMatchObject({ code: 'ERR_SEMLOCK_CLOSED' });
    await hold[Symbol.asyncDispose]();
  });
});

describe('A hold', () => {
  it('is lost before its time at the server is over, and a renewal answered late does not bring it back', async () => {
    const server = new FakeServer();
    const [one, two] = sidesOf(server, 2) as [Side, Side];
    const hold = await one.lock.acquire();
    const answer = holdUp(server, 'after', 'renew');
    const next = two.lock.acquire();
    const order: string[] = [];
    hold.signal.addEventListener('abort', () => order.push('lost'), { once: true });
    void next.then(() => order.push('granted'));
    await answer.arrived; // either side's; the other one goes on
    await expect.poll(() => order.length > 0 || hold.lost !== undefined, { timeout: 3 * leaseMs }).toBe(true);
    answer.go();
    await (await next)[Symbol.asyncDispose]();
    expect(order).toEqual(['lost', 'granted']);
    expect(hold.release()).toBe(false);
  });

  it('of a thread that was stopped beyond its lease says so when it is asked, and its signal before a timer set after', async () => {
    const server = new FakeServer();
    const [{ lock, store }] = sidesOf(server, 1) as [Side];
    const another = await new Lock('another', { store, namespace: lock.namespace }).acquire();
    const { signal } = await lock.acquire();
    stop(leaseMs);
    expect(another.lost).toMatchObject({ code: 'ERR_SEMLOCK_LOST' });
    await sleep(1);
    expect(signal.reason).toMatchObject({ code: 'ERR_SEMLOCK_LOST' });
  });

  it('whose release is not answered is released again by the same number', async () => {
    const server = new FakeServer();
    const [one, two] = sidesOf(server, 2) as [Side, Side];
    const hold = await one.lock.acquire();
    server.after = (op) => {
      if (op !== 'release') return;
      server.after = () => undefined;
      throw new Error('the connection was closed');
    };
    await hold[Symbol.asyncDispose]();
    expect(server.log.filter((line) => line.startsWith('release'))).toEqual(['release 1', 'release 1']);
    await (await two.lock.acquire())[Symbol.asyncDispose]();
  });

  it('that is granted while its store is closed is lost', async () => {
    const server = new FakeServer();
    const [{ store, lock }] = sidesOf(server, 1) as [Side];
    await (await lock.acquire())[Symbol.asyncDispose]();
    const ended = holdUp(server, 'before', 'end');
    const answer = holdUp(server, 'after', 'acquire');
    const tried = lock.acquire({ ifAvailable: true });
    await answer.arrived;
    const closed = store.close();
    await ended.arrived;
    answer.go();
    const hold = await tried;
    ended.go();
    await closed;
    expect(hold?.lost).toMatchObject({ code: 'ERR_SEMLOCK_LOST' });
  });

  it.each([
    ['ends', '() => { throw new Error("it ends at once"); }'],
    ['does not start', '() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'],
    ['cannot reach the server', '() => ({ renew: () => Promise.reject(new Error("refused")), close() {} })'],
  ])('is kept when the thread that renews %s', async (_what, source) => {
    const server = new FakeServer();
    const [{ lock }] = sidesOf(server, 1, { leaseMs: 1_500, backend: { worker: { source, options: {} } } }) as [Side];
    const hold = await lock.acquire();
    await sleep(2_000);
    expect(hold.lost).toBeUndefined();
    await hold[Symbol.asyncDispose]();
  });

  it('that was short does not end its session, however short maxHoldMs is', async () => {
    const server = new FakeServer();
    const [{ lock }] = sidesOf(server, 1, { maxHoldMs: 20 }) as [Side];
    server.after = (op) => (op === 'renew' ? sleep(60) : undefined); // so that renewals come at other times than checks
    await (await lock.acquire())[Symbol.asyncDispose]();
    await sleep(1.5 * leaseMs);
    await (await lock.acquire())[Symbol.asyncDispose]();
    expect(server.log.filter((line) => line.startsWith('begin'))).toHaveLength(1);
  });
});
