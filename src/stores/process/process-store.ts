// The locks of this machine. Nothing is loaded or opened until one of them is used.

import type { LockStore } from '../../store.js';
import { ProcessLock } from './process-lock.js';
import { snapshot } from './query.js';

/** Locks between all processes of this user on this machine. The default of everything that takes a store. */
export const processStore: LockStore = {
  name: 'process',
  can: { sync: true, wait: true, share: true, steal: true, permits: true, foreign: true, owners: true },
  open: (id) => new ProcessLock(id),
  query: (where) => new Promise((resolve) => resolve(snapshot(where))),
};
