// An addon over locks of open file descriptions (fcntl, F_OFD_SETLK). Its wait blocks a thread of the libuv pool.

import { tryLock, unlock, waitForLock, waitForLockSync } from 'fs-native-extensions';

import { lockFile } from './lock-file.mjs';

export const uncontended = {
  pair: ({ folder }) => {
    const fd = lockFile(folder);
    return (count) => {
      for (let i = 0; i < count; i++) {
        if (!tryLock(fd)) throw new Error('the file was not free');
        unlock(fd);
      }
    };
  },
};

export const waiting = {
  wait: ({ folder }) => {
    const fd = lockFile(folder);
    return async () => {
      await waitForLock(fd);
      return () => unlock(fd);
    };
  },

  waitSync: ({ folder }) => {
    const fd = lockFile(folder);
    return () => {
      waitForLockSync(fd);
      return () => unlock(fd);
    };
  },
};
