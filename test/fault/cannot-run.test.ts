// A permit is granted to a waiter that cannot collect it: its process is stopped, or its event loop is busy. Other waiters
// have it meanwhile, and it is never held twice.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { eventually } from './support/eventually.js';
import type { Grant, LockDescription, LockMode, LockProcess } from './support/lock-process.js';
import { promptly } from './support/promptly.js';
import { endSpareProcesses, Room } from './support/room.js';

const SLOW_WAITER = fileURLToPath(new URL('support/slow-waiter.mjs', import.meta.url));
/** Far longer than anything here takes. */
const LONG_MS = 20_000;
/** Longer than a granted permit is kept for a waiter that does not collect it, while another one waits. */
const PATIENCE_MS = 300;
/** How long the computing ones compute: longer than it takes until others have had their turn. */
const COMPUTING_MS = 2000;

afterAll(endSpareProcesses);

type Wait = (process: LockProcess, lock: LockDescription, mode?: LockMode) => Promise<Grant | null>;
const inTurn: Wait = (process, lock, mode) => process.waitInTurn(lock, mode);
const blocking: Wait = (process, lock, mode) => process.wait(lock, LONG_MS, mode);
const stop = (process: LockProcess) => process.stop();
const goOn = (process: LockProcess) => process.continue();
const computed = (process: LockProcess) => process.call('memory'); // it answers when it is done
const compute = (process: LockProcess) => void process.compute(COMPUTING_MS).catch(() => {}); // it may be killed over it

/** How a process waits, and why it becomes unable to run. */
const ways = [
  { how: 'is stopped in its event loop', wait: inTurn, disable: stop, enable: goOn },
  { how: 'is stopped while it blocks', wait: blocking, disable: stop, enable: goOn },
  { how: 'computes in its event loop', wait: inTurn, disable: compute, enable: computed },
];
const kinds = [
  { kind: 'a lock', permits: 1, foreign: false },
  { kind: 'a semaphore of 3 permits', permits: 3, foreign: false },
  { kind: 'a foreign semaphore', permits: 1, foreign: true },
];

/** A lock whose permits are all held, and processes that have it open. */
async function setting({ permits = 1, foreign = false } = {}) {
  const room = new Room();
  const posixName = foreign ? room.posixName() : '';
  const lock: LockDescription = { namespace: room.namespace, name: 'lock', permits, posixName };
  const holder = room.process();
  const [grant, ...others] = await holder.take(lock, permits);
  const user = async () => {
    const process = room.process();
    expect(await process.count(lock)).toBe(0);
    return process;
  };
  let inLine = 0;
  /** Puts one at the end of the line: the result is an object, since a promise of a promise would be awaited. */
  const queue = async (waiting: Promise<Grant | null>) => {
    waiting.catch(() => {}); // whoever awaits it gets the error
    inLine++;
    await eventually(async () => (await holder.query(room.namespace))[0]?.waiters.length === inLine);
    return { waiting };
  };
  const expectAllFree = async () => {
    for (const each of others) await holder.release(lock, each);
    await eventually(async () => (await holder.query(room.namespace)).length === 0);
    expect(await holder.count(lock)).toBe(permits);
  };
  return { lock, user, queue, expectAllFree, holder, grant: grant!, release: () => holder.release(lock, grant!) };
}

describe.each(ways)('one who $how', ({ wait, disable, enable }) => {
  it.each(kinds)('is passed over, and is the first in line when it runs again: $kind', async (kind) => {
    // It is in line again a moment after it runs; on a busy machine the release may come before.
    await promptly(0, async () => {
      const { lock, user, queue, expectAllFree, release } = await setting(kind);
      const [first, second, third] = [await user(), await user(), await user()];
      const line = [await queue(wait(first, lock))];
      line.push(await queue(second.waitInTurn(lock)), await queue(third.waitInTurn(lock)));
      await disable(first);
      await release();
      const had = await line[1]!.waiting;
      expect(had).not.toBeNull();
      await enable(first);
      await sleep(50);
      await second.release(lock, had!);
      const [early, late] = await Promise.all([
        line[0]!.waiting.then(async (grant) => (await first.release(lock, grant!), grant!.token)),
        line[2]!.waiting.then(async (grant) => (await third.release(lock, grant!), grant!.token)),
      ]);
      await expectAllFree();
      return early < late ? 0 : 1;
    });
  });
});

describe('one who is stopped', () => {
  it('keeps what it was granted as long as nobody else waits', async () => {
    const { lock, user, queue, expectAllFree, grant, release } = await setting();
    const [first, other] = [await user(), await user()];
    const { waiting } = await queue(first.waitInTurn(lock));
    await first.stop();
    await release();
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end;) {
      expect(await other.tryAcquire(lock)).toBeNull();
    }
    first.continue();
    const had = await waiting;
    expect(had!.token, 'the very same grant').toBe(grant.token + 1);
    await first.release(lock, had!);
    await expectAllFree();
  });

  it('keeps what it has collected, whoever waits', async () => {
    const { lock, user, queue, expectAllFree, release } = await setting();
    const [first, second] = [await user(), await user()];
    const { waiting } = await queue(first.waitInTurn(lock));
    await release();
    const had = await waiting;
    await first.stop();
    expect(await second.wait(lock, 2 * PATIENCE_MS)).toBeNull();
    first.continue();
    expect(await first.release(lock, had!)).toBe(true);
    await expectAllFree();
  });

  it.each(kinds)('has what it was granted no longer than it wanted to wait: $kind', async (kind) => {
    const TIME_MS = 1000;
    const { lock, user, queue, expectAllFree, holder, release } = await setting(kind);
    const first = await user();
    const start = performance.now();
    const { waiting } = await queue(first.wait(lock, TIME_MS));
    await first.stop();
    await release();
    let had: Grant | null = null;
    await eventually(async () => (had = await holder.tryAcquire(lock)) !== null);
    expect(performance.now() - start).toBeGreaterThanOrEqual(TIME_MS - 1);
    first.continue();
    expect(await waiting, 'it was too late').toBeNull();
    await holder.release(lock, had!);
    await expectAllFree();
  });

  it('is not granted anything when its time is over', async () => {
    await promptly(PATIENCE_MS / 3, async () => {
      const { lock, user, queue, expectAllFree, release } = await setting();
      const [first, second] = [await user(), await user()];
      const TIME_MS = 500;
      const end = performance.now() + TIME_MS;
      const { waiting } = await queue(first.wait(lock, TIME_MS));
      await first.stop();
      const next = await queue(second.waitInTurn(lock));
      await sleep(end - performance.now() + TIME_MS);
      const start = performance.now();
      await release();
      const had = await next.waiting;
      const ms = performance.now() - start;
      first.continue();
      expect(await waiting).toBeNull();
      await second.release(lock, had!);
      await expectAllFree();
      return ms;
    });
  });

  it('and reads delays no writer, nor a reader beside it', async () => {
    const { lock, user, queue, expectAllFree, release } = await setting();
    const [first, second, writer] = [await user(), await user(), await user()];
    const stopped = await queue(first.waitInTurn(lock, 'shared'));
    const reader = await queue(second.waitInTurn(lock, 'shared'));
    const written = await queue(writer.waitInTurn(lock));
    await first.stop();
    await release();
    const read = await reader.waiting;
    await second.release(lock, read!);
    const had = await written.waiting;
    expect(had!.token).toBeGreaterThan(read!.token);
    first.continue();
    await writer.release(lock, had!);
    const last = await stopped.waiting;
    expect(last!.token).toBeGreaterThan(had!.token);
    await first.release(lock, last!);
    await expectAllFree();
  });

  it('leaves several permits to those behind it, and one that was stopped as well', async () => {
    const { lock, user, queue, expectAllFree, holder, grant } = await setting({ permits: 3 });
    const stopped = [await user(), await user()];
    const [lines, third] = [[] as Promise<Grant | null>[], await user()];
    for (const each of stopped) lines.push((await queue(each.waitInTurn(lock))).waiting);
    const { waiting } = await queue(third.waitInTurn(lock));
    for (const each of stopped) await each.stop();
    await holder.release(lock, grant);
    const had = await waiting;
    await third.release(lock, had!);
    for (const [index, each] of stopped.entries()) {
      each.continue();
      const own = await lines[index];
      expect(await each.release(lock, own!)).toBe(true);
    }
    await expectAllFree();
  });

  it('tells the next one of a death that its grant was to tell of', async () => {
    const { lock, user, queue, expectAllFree, holder, release } = await setting();
    const [dead, first, second] = [await user(), await user(), await user()];
    await release();
    await dead.takeOne(lock);
    const { waiting } = await queue(first.waitInTurn(lock));
    const next = await queue(second.waitInTurn(lock));
    await first.stop();
    await dead.kill();
    const had = await next.waiting;
    expect(had).toMatchObject({ abandoned: true });
    first.continue();
    await second.release(lock, had!);
    const last = await waiting;
    expect(last).toMatchObject({ abandoned: false });
    await first.release(lock, last!);
    expect(await holder.count(lock)).toBe(1);
    await expectAllFree();
  });
});

it('a program that computes past its time limit delays nobody, and learns that it was too late', async () => {
  const { lock, user, expectAllFree, holder, release } = await setting();
  const second = await user();
  const child = spawn(process.execPath, [SLOW_WAITER, lock.namespace, lock.name, '1500', '4000']);
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async () => (await lines.next()).value as string;
  expect(await line()).toBe('waits');
  await release();
  const had = await second.wait(lock, LONG_MS);
  let said: string | undefined;
  const result = line().then((text) => (said = text));
  await sleep(1);
  expect(said, 'while it computes').toBeUndefined();
  expect(await result).toBe('ERR_SEMLOCK_TIMEOUT');
  await second.release(lock, had!);
  expect(await holder.query(lock.namespace)).toEqual([]);
  await expectAllFree();
}, 30_000);
