// Other code of the process closes descriptors that are not its own, and its next files get their numbers: then nothing
// is written into those files, and waits go on.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it, onTestFinished } from 'vitest';

import type { Grant } from './support/lock-process.js';
import { endSpareProcesses, Room } from './support/room.js';

afterAll(endSpareProcesses);

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'semlock-closed-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

const contents = (files: readonly string[]) => files.map((file) => readFileSync(file, 'latin1'));

it.each(['before it waits', 'while it waits'])(
  'a process whose inbox is closed %s is told of its grant',
  async (when) => {
    const room = new Room();
    const lock = { namespace: room.namespace, name: 'lock' };
    const [waiter, holder] = [room.process(), room.process()];
    const wait = () => waiter.call<Grant>('waitInTurn', lock);
    const [first] = await holder.take(lock, 1);
    const granted = wait();
    await holder.release(lock, first!);
    await waiter.release(lock, await granted);

    const [second] = await holder.take(lock, 1);
    const early = when === 'while it waits' ? wait() : undefined;
    const files = await waiter.call<string[]>('takeInboxes', folder());
    expect(files).not.toEqual([]);
    const told = early ?? wait();
    // Some rounds of the thread that looks after the waits: each would write into the file.
    await waiter.call('memory');
    await holder.release(lock, second!);
    await waiter.release(lock, await told);
    expect(contents(files)).toEqual(files.map(() => 'precious'));
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
    expect(contents(files)).toEqual(files.map(() => 'precious'));
  },
);

it('a process whose way to another inbox is closed tells that one all the same', async () => {
  const room = new Room();
  const lock = { namespace: room.namespace, name: 'lock' };
  const [waiter, holder] = [room.process(), room.process()];
  let files: string[] = [];
  for (const round of [1, 2, 3]) {
    const [grant] = await holder.take(lock, 1);
    const granted = waiter.call<Grant>('waitInTurn', lock);
    await waiter.call('memory');
    await holder.release(lock, grant!);
    await waiter.release(lock, await granted);
    if (round === 1) files = await holder.call<string[]>('takeInboxes', folder());
  }
  expect(files).not.toEqual([]);
  expect(contents(files)).toEqual(files.map(() => 'precious'));
});
