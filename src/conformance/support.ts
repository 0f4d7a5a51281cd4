// What the tests of all parts use.

import { randomUUID } from 'node:crypto';

import { Lock } from '../lock.js';
import type { Hold } from '../hold.js';
import type { LockStore } from '../store.js';
import { Semaphore } from '../semaphore.js';

/** Two lock objects of one name, which nobody else uses; of two clients, where the store has several. */
export function twoOf(store: () => LockStore, name = 'file'): [Lock, Lock] {
  const namespace = randomUUID();
  return [new Lock(name, { namespace, store: store() }), new Lock(name, { namespace, store: store() })];
}

export function twoSemaphores(store: () => LockStore, permits: number): [Semaphore, Semaphore] {
  const namespace = randomUUID();
  const make = () => new Semaphore('file', { namespace, permits, store: store() });
  return [make(), make()];
}

/** Takes it at once; it must be free. */
export async function take(lock: Lock | Semaphore, mode?: 'shared'): Promise<Hold> {
  const hold = await lock.acquire({ ifAvailable: true, ...(mode === undefined ? {} : { mode }) });
  if (hold === null) throw new Error(`the lock "${lock.name}" was not free`);
  return hold;
}

/** Gives it back, and waits for the store's answer. */
export async function giveBack(hold: Hold): Promise<void> {
  await hold[Symbol.asyncDispose]();
}

export async function isFree(lock: Lock | Semaphore): Promise<boolean> {
  const hold = await lock.acquire({ ifAvailable: true });
  if (hold !== null) await giveBack(hold);
  return hold !== null;
}

/** Until it is so; fails after a time that no working store needs. */
export async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 10_000; !(await check());) {
    if (performance.now() > end) throw new Error(`it never came that ${what}`);
    await pause(2);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for some turns of the queue of microtasks. */
export async function ticks(count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) await Promise.resolve();
}

/** A promise, and what became of it so far. */
export function watch<T>(promise: Promise<T>): { readonly settled: boolean; readonly promise: Promise<T> } {
  const watched = { settled: false, promise };
  const settle = (): void => void (watched.settled = true);
  promise.then(settle, settle);
  return watched;
}
