// The three values of LOCK as options of fileLock(), and the log that shows what the locks do. An app of your own
// needs none of this: it writes fileLock() and has what LOCK=process stands for.

import { processStore, threadStore, type Held, type HttpLockOptions, type LockStore } from 'semlock';

import { readSettings, type LockMode } from './settings.js';

/** Read here, and not passed on, because a decorator takes its options when the class is defined. */
export const locking: HttpLockOptions = optionsFor(readSettings(process.env).lock);

function optionsFor(mode: LockMode): HttpLockOptions {
  switch (mode) {
    case 'process':
      return { store: logged(processStore) };
    case 'thread':
      return { store: logged(threadStore) };
    case 'none':
      return { skip: () => true };
  }
}

/** The same locks, with a line in the log for whatever happens to them. */
function logged(store: LockStore): LockStore {
  return {
    open(name, request) {
      const lock = store.open(name, request);
      return {
        tryAcquire() {
          const held = lock.tryAcquire();
          if (held === null) {
            console.log(`${process.pid} cannot acquire at the moment`);
            return null;
          }
          console.log(`${process.pid} lock`);
          return logRelease(held);
        },
      };
    },
  };
}

function logRelease(held: Held): Held {
  const release = held.release.bind(held);
  held.release = () => {
    const released = release();
    if (released) console.log(`${process.pid} unlock`);
    return released;
  };
  return held;
}
