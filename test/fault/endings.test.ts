// However a holder ends, its permit is free at once, and the next holder is told that it was abandoned.

import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { LockProcess } from './support/lock-process.js';
import { endSpareProcesses, Room } from './support/room.js';

afterAll(endSpareProcesses);

const endings: { title: string; end(process: LockProcess): Promise<unknown>; code: number | null }[] = [
  { title: 'calls process.exit() in a handler', end: (process) => process.call('exit', 3), code: 3 },
  { title: 'throws an error that nobody catches', end: (process) => process.call('throwUncaught'), code: 1 },
  { title: 'has nothing left to do', end: (process) => process.call('endNaturally'), code: 0 },
  { title: 'gets no memory any more', end: (process) => process.call('useUpMemory'), code: null },
  { title: 'is killed', end: (process) => process.kill(), code: null },
];

describe.each([
  { form: 'with a named semaphore', named: true },
  { form: 'without one', named: false },
])('a lock $form whose holder', ({ named }) => {
  it.each(endings)('$title is free at once, and known to be abandoned', async ({ end, code }) => {
    const room = new Room();
    const lock = { namespace: room.namespace, name: 'lock', named };
    const [holder, next] = [room.process(), room.process()];
    await next.count(lock);
    expect(await holder.tryAcquire(lock)).toMatchObject({ abandoned: false });
    void end(holder).catch(() => {});
    expect(await holder.ended).toMatchObject({ code });

    const [grant] = await next.take(lock, 1);
    expect(grant).toMatchObject({ abandoned: true });
    expect(await next.release(lock, grant!)).toBe(true);
    const [after] = await next.take(lock, 1);
    expect(after, 'the one after that').toMatchObject({ abandoned: false });
    await next.release(lock, after!);
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
  });

  it.each(endings)('$title, the last of its app, is free for the next start, which is told', async ({ end }) => {
    const room = new Room();
    const lock = { namespace: room.namespace, name: 'lock', named, permits: 3 };
    const [holder, idle, next] = [room.process(), room.process(), room.process()];
    await holder.take(lock, 3);
    void end(holder).catch(() => {});
    await holder.ended;
    await idle.count({ ...lock, name: 'another' });
    await idle.exit();

    expect(await next.take(lock, 3)).toMatchObject([{ abandoned: true }, { abandoned: false }, { abandoned: false }]);
    expect(await next.tryAcquire(lock), 'one more than there are').toBeNull();
    await next.exit();
    const told = room.process();
    expect(await told.tryAcquire(lock)).toMatchObject({ abandoned: true });
    expect(await told.count(lock), 'beside that one').toBe(2);
  });

  it('is a worker thread that is terminated is free at once, while its process lives on', async () => {
    const room = new Room();
    const lock = { namespace: room.namespace, name: 'lock', named };
    const [holder, next] = [room.process(), room.process()];
    await holder.call('inWorker', 'hold', lock);
    expect(await next.tryAcquire(lock)).toBeNull();
    expect(await holder.tryAcquire(lock), 'for another thread of the process').toBeNull();
    await holder.call('terminateWorker');

    const [grant] = await next.take(lock, 1);
    expect(grant).toMatchObject({ abandoned: true });
    await next.release(lock, grant!);
    expect(await holder.count(lock)).toBe(1);
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
  });

  it('is a worker thread that ends before it has heard of its grant is free at once', async () => {
    const room = new Room();
    const lock = { namespace: room.namespace, name: 'lock', named };
    const [other, next] = [room.process(), room.process()];
    const [grant] = await next.take(lock, 1);
    await other.call('inWorker', 'waitAndEnd', lock);
    const ended = other.call('workerEnds');
    await next.release(lock, grant!);
    expect(await ended, 'its exit code').toBe(0);

    const [taken] = await next.take(lock, 1);
    expect(taken, 'nobody was inside').toMatchObject({ abandoned: false });
    await next.release(lock, taken!);
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
  });

  it('is killed is free at once, though a program that it has started lives on', async () => {
    const room = new Room();
    const lock = { namespace: room.namespace, name: 'lock', named };
    const [holder, next] = [room.process(), room.process()];
    await next.count(lock);
    await holder.take(lock, 1);
    const program = await holder.call<number>('startProgram');
    onTestFinished(() => void process.kill(program));
    await holder.kill();
    expect(await next.tryAcquire(lock)).toMatchObject({ abandoned: true });
  });
});

describe('a semaphore of another program, whose last user here', () => {
  it.each(endings)('$title gets back what that one took, once', async ({ end }) => {
    const room = new Room();
    const posixName = room.posixName();
    const lock = { namespace: room.namespace, name: 'lock', permits: 3, posixName };
    const [holder, other, next] = [room.process(), room.process(), room.process()];
    await holder.take(lock, 3);
    void end(holder).catch(() => {});
    const { signal } = await holder.ended;
    if (signal === null) {
      expect(await other.semValue(posixName), 'without anybody’s coming').toBe(3);
      // It may use the semaphore before anybody of ours comes back.
      await other.call('semOpen', posixName, 3);
      await other.call('semTryWait', 0);
    }
    const taken = signal === null ? 1 : 0;
    expect(await next.tryAcquire(lock)).toMatchObject({ abandoned: true });
    expect(await next.count(lock)).toBe(2 - taken);
    expect(await other.semValue(posixName)).toBe(2 - taken);
    if (taken > 0) await other.call('semPost', 0);
    expect(await next.count(lock)).toBe(2);
    await next.exit();
    expect(await other.semValue(posixName)).toBe(3);
  });
});

it('a holder counts as alive until its core dump is written', async () => {
  const room = new Room();
  const lock = { namespace: room.namespace, name: 'lock' };
  const folder = mkdtempSync(join(tmpdir(), 'semlock-core-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  // As much as there is of it, where the system writes one into the working folder.
  const written = () => readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  const through = ['prlimit', '--core=unlimited:unlimited', 'sh', '-c', 'cd "$0" && exec "$@"', folder];
  const [holder, next] = [LockProcess.start({ through }), room.process()];
  onTestFinished(() => void holder.kill());
  await next.count(lock);
  await holder.takeOne(lock);
  process.kill(holder.pid, 'SIGSEGV');
  const { grant } = await next.call<{ grant: { abandoned: boolean } | null }>('tryFor', lock, 20_000);
  const atGrant = written();
  expect(grant).toMatchObject({ abandoned: true });
  expect(await holder.ended).toMatchObject({ signal: 'SIGSEGV' });
  expect(atGrant).toEqual(written());
}, 60_000);
