// A file that is created exclusively. One that a dead process left stays forever, unless an age is given at which it is
// taken for stale. It waits by asking again: by default every 100 ms, here every 10 ms.

import { promisify } from 'node:util';

import lockfile from 'lockfile';

import { lockPath } from './lock-file.mjs';

const lock = promisify(lockfile.lock);

export const uncontended = {
  pair: ({ folder }) => {
    const file = lockPath(folder);
    return (count) => {
      for (let i = 0; i < count; i++) {
        lockfile.lockSync(file);
        lockfile.unlockSync(file);
      }
    };
  },
};

export const waiting = {
  wait: ({ folder }) => {
    const file = lockPath(folder);
    return async () => {
      await lock(file, { wait: 60_000, pollPeriod: 10 });
      return () => lockfile.unlockSync(file);
    };
  },
};
