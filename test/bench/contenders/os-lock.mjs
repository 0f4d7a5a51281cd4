// An addon over the POSIX locks of a process (fcntl, F_SETLK), with promises alone. Both calls go through the libuv pool.

import { lock, unlock } from 'os-lock';

import { lockFile } from './lock-file.mjs';

export const uncontended = {
  pair: ({ folder }) => {
    const fd = lockFile(folder);
    return async (count) => {
      for (let i = 0; i < count; i++) {
        await lock(fd, { exclusive: true, immediate: true });
        await unlock(fd);
      }
    };
  },
};

export const waiting = {
  wait: ({ folder }) => {
    const fd = lockFile(folder);
    return async () => {
      await lock(fd, { exclusive: true });
      return () => unlock(fd);
    };
  },
};
