// A folder beside the file, made with mkdir, whose time is renewed as long as the lock is held; one that has not been
// renewed for 10 s counts as left behind. It waits by asking again: by default after 1 s, here every 10 ms.

import { closeSync } from 'node:fs';

import lockfile from 'proper-lockfile';

import { lockFile, lockPath } from './lock-file.mjs';

const POLL = { forever: true, factor: 1, minTimeout: 10, maxTimeout: 10 };

export const uncontended = {
  pair: ({ folder }) => {
    const file = createFile(folder);
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
    const file = createFile(folder);
    return () => lockfile.lock(file, { retries: POLL });
  },
};

function createFile(folder) {
  closeSync(lockFile(folder));
  return lockPath(folder);
}
