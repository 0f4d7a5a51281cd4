// What the storm fights for: some locks of each form, behind one small interface, so that the same storm runs on
// the lock table, on plain semaphores, and on nothing. A hold is `{ token, release() }`.

import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { StoredLock } from '../../../dist/stored-lock.js';
import { NamedSemaphore } from '../../../dist/primitives/named-semaphore.js';

/** `readers`: some take it in shared mode. `stolen`: thieves take it from whoever has it. */
const FORMS = [
  { name: 'named, 1 permit', permits: 1, named: true, readers: true, stolen: false },
  { name: 'named, 3 permits', permits: 3, named: true, readers: false, stolen: false },
  { name: 'computed, 1 permit', permits: 1, named: false, readers: true, stolen: false },
  { name: 'computed, 3 permits', permits: 3, named: false, readers: false, stolen: false },
  { name: 'stolen', permits: 1, named: true, readers: false, stolen: true },
];

const MAKERS = { table: tableLock, semaphore: plainSemaphore, none: noLock };

/**
 * @param {keyof typeof MAKERS} kind
 * @param {string} namespace
 */
export function contenders(kind, namespace) {
  return FORMS.map((form, number) => ({ ...form, number, ...MAKERS[kind](namespace, form) }));
}

function tableLock(namespace, { name, permits, named }) {
  const lock = new StoredLock('storm', name, { namespace, permits, keyed: !named });
  return {
    tryAcquire: (mode) => lock.tryAcquire({ mode }),
    acquire: (options) => lock.acquire(options),
    acquireSync: (options) => lock.acquireSync(options),
    steal: () => new Promise((...settle) => lock.request({ mode: 'exclusive', steal: true }, false, ...settle)),
    unlink: () => {},
  };
}

/** Without readers and thieves, who come as writers here, and with waiting that is trying again and again. */
function plainSemaphore(namespace, { permits, name }) {
  const posixName = `${namespace}.${name.replaceAll(/\W/g, '')}`;
  const semaphore = NamedSemaphore.create(`/${posixName}`, { value: permits });
  const tryAcquire = () => (semaphore.tryWait() ? { token: now(), release: () => (semaphore.post(), true) } : null);
  const acquire = async ({ timeoutMs = Infinity, signal }) => {
    for (const end = performance.now() + timeoutMs; ;) {
      const held = tryAcquire();
      if (held !== null) return held;
      signal.throwIfAborted();
      if (performance.now() > end) throw Object.assign(new Error('late'), { code: 'ERR_SEMLOCK_TIMEOUT' });
      await sleep(1);
    }
  };
  const unlink = () => rmSync(`/dev/shm/sem.${posixName}`, { force: true });
  return { tryAcquire, acquire, acquireSync: tryAcquire, steal: tryAcquire, unlink };
}

function noLock() {
  const have = () => ({ token: now(), release: () => true });
  return { tryAcquire: have, acquire: () => Promise.resolve(have()), acquireSync: have, steal: have, unlink: () => {} };
}

/** Grows from hold to hold, in all processes. */
const now = () => Number(process.hrtime.bigint());
