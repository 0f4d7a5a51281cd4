// What the storm fights for: some locks of each form, behind one small interface, so that the same storm runs on
// the lock table, on plain semaphores, and on nothing.

import { rmSync } from 'node:fs';

import { NamedLock } from '../../../dist/lock/named-lock.js';
import { NamedSemaphore } from '../../../dist/lock/named-semaphore.js';

const FORMS = [
  { name: 'named, 1 permit', permits: 1, named: true },
  { name: 'named, 3 permits', permits: 3, named: true },
  { name: 'computed, 1 permit', permits: 1, named: false },
  { name: 'computed, 3 permits', permits: 3, named: false },
];

/**
 * @param {'table' | 'semaphore' | 'none'} kind
 * @param {string} namespace
 */
export function contenders(kind, namespace) {
  return FORMS.map((form, number) => ({ ...form, number, ...make(kind, namespace, form) }));
}

function make(kind, namespace, { name, permits, named }) {
  if (kind === 'none') return { tryAcquire: () => () => {}, takeAll: () => permits, unlink: () => {} };
  const lock =
    kind === 'table'
      ? new NamedLock('storm', name, { namespace, permits, named })
      : NamedSemaphore.create(`/${namespace}.${permits}.${named}`, { value: permits });
  /** The function that gives it back, or null. */
  const tryAcquire = () => {
    if (kind === 'semaphore') return lock.tryWait() ? () => lock.post() : null;
    const held = lock.tryAcquire();
    return held === null ? null : () => held.release();
  };
  const takeAll = () => {
    const had = [];
    for (let one; had.length <= permits && (one = tryAcquire()) !== null;) had.push(one);
    for (const giveBack of had) giveBack();
    return had.length;
  };
  const unlink = () => {
    if (kind === 'semaphore') rmSync(`/dev/shm/sem.${namespace}.${permits}.${named}`, { force: true });
  };
  return { tryAcquire, takeAll, unlink };
}
