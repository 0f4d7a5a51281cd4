// A ThreadLock reaches as far as its process: to all worker threads, and to no other process.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { ThreadLock } from '../../../src/primitives/thread-lock.js';
import { scratchNamespace } from '../../support/shm.js';

const user = fileURLToPath(new URL('fixtures/thread-lock-user.mjs', import.meta.url));
const namespace = scratchNamespace();

/** Has a thread or process carry out an order, and gives its answer. */
async function tell(other: Worker | ChildProcess, ...order: string[]): Promise<unknown> {
  const answered = once(other, 'message');
  if (other instanceof Worker) other.postMessage(order);
  else other.send(order);
  const [answer] = await answered;
  return answer;
}

function canBeHad(name: string): boolean {
  return new ThreadLock(name).tryAcquire()?.release() ?? false;
}

describe('between worker threads', () => {
  let worker: Worker;
  beforeEach(() => {
    worker = new Worker(user);
  });
  afterEach(() => worker.terminate());

  it('the holder excludes the others, in both directions', async () => {
    const held = new ThreadLock('shared').tryAcquire()!;
    expect(await tell(worker, 'acquire', 'shared')).toBe(false);
    held.release();
    expect(await tell(worker, 'acquire', 'shared')).toBe(true);
    expect(canBeHad('shared')).toBe(false);
    expect(await tell(worker, 'release', 'shared')).toBe(true);
    expect(canBeHad('shared')).toBe(true);
  });

  it('two names are two locks', async () => {
    using _held = new ThreadLock('one').tryAcquire();
    expect(await tell(worker, 'acquire', 'two')).toBe(true);
    expect(await tell(worker, 'acquire', 'one')).toBe(false);
  });

  it('a thread that is terminated releases what it holds, and that once', async () => {
    expect(await tell(worker, 'acquire', 'ended')).toBe(true);
    expect(canBeHad('ended')).toBe(false);
    await worker.terminate();
    const held = new ThreadLock('ended').tryAcquire();
    expect(held).not.toBeNull();
    expect(canBeHad('ended')).toBe(false);
    held!.release();
    expect(canBeHad('ended')).toBe(true);
  });

  it('a thread that is terminated releases nothing that it gave back before', async () => {
    await tell(worker, 'acquire', 'returned');
    await tell(worker, 'release', 'returned');
    using _held = new ThreadLock('returned').tryAcquire();
    await worker.terminate();
    expect(canBeHad('returned')).toBe(false);
  });
});

describe('between processes', () => {
  let child: ChildProcess;
  beforeEach(() => {
    child = fork(user);
  });
  afterEach(async () => {
    const gone = once(child, 'exit');
    child.kill();
    await gone;
  });

  it('each has a lock of its own, where a Lock excludes', async () => {
    using _threads = new ThreadLock('apart').tryAcquire();
    using _processes = new Lock('apart', { namespace }).tryAcquire();
    expect(await tell(child, 'acquire', 'apart')).toBe(true);
    expect(await tell(child, 'tryLock', 'apart', namespace)).toBe(false);
  });
});
