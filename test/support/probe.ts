// The view of another process on a lock: only that shows what the lock is worth.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { afterAll, expect } from 'vitest';

const PROBE = fileURLToPath(new URL('probe.mjs', import.meta.url));

export interface Probe {
  /** Whether another process finds the lock held at this moment. */
  isHeld(name: string): Promise<boolean>;
  /** Waits until another process can have the lock; fails when that takes longer than a deadline. */
  becomesFree(name: string): Promise<void>;
}

/** Starts the other process, for all tests of a file. It uses the built package. */
export async function startProbe(namespace: string): Promise<Probe> {
  const child = fork(PROBE, [namespace]);
  const exited = once(child, 'exit');
  afterAll(async () => {
    if (child.connected) child.disconnect();
    await exited;
  });
  const waiting = new Map<number, (held: boolean) => void>();
  child.on('message', (answer: { id: number; held: boolean }) => waiting.get(answer.id)?.(answer.held));
  const ready = once(child, 'message').then(() => true);
  if (!(await Promise.race([ready, exited.then(() => false)]))) throw new Error('the probe did not start');

  let id = 0;
  const isHeld = (name: string) =>
    new Promise<boolean>((resolve) => {
      id += 1;
      waiting.set(id, resolve);
      child.send({ id, name });
    });
  return {
    isHeld,
    becomesFree: (name) => expect.poll(() => isHeld(name), { timeout: 5_000, interval: 5 }).toBe(false),
  };
}
