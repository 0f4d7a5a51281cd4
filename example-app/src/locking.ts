// The three values of LOCK as options of fileLock(), and the log that shows what the locks do. An app of your own
// needs none of this: it writes fileLock() and has what LOCK=process stands for.

import { subscribe } from 'node:diagnostics_channel';

import { memoryStore, processStore, type HttpLockOptions } from 'semlock';

import { readSettings, type LockMode } from './settings.js';

/** Read here, and not passed on, because a decorator takes its options when the class is defined. */
export const locking: HttpLockOptions = optionsFor(readSettings(process.env).lock);

function optionsFor(mode: LockMode): HttpLockOptions {
  switch (mode) {
    case 'process':
      return { store: processStore };
    case 'thread':
      return { store: memoryStore() }; // each worker has locks of its own
    case 'none':
      return { skip: () => true };
  }
}

// A line in the log for whatever happens to the locks.
const lines = { acquired: 'lock', busy: 'cannot acquire at the moment', released: 'unlock' };
for (const [event, line] of Object.entries(lines)) {
  subscribe(`semlock:${event}`, () => console.log(`${process.pid} ${line}`));
}
