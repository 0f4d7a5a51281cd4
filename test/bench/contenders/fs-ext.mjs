// An addon over flock(2). Its wait blocks a thread of the libuv pool.

import { promisify } from 'node:util';

import fsExt from 'fs-ext';

import { lockFile } from './lock-file.mjs';

const { flockSync } = fsExt;
const flock = promisify(fsExt.flock);

export const uncontended = {
  pair: ({ folder }) => {
    const fd = lockFile(folder);
    return (count) => {
      for (let i = 0; i < count; i++) {
        flockSync(fd, 'exnb');
        flockSync(fd, 'un');
      }
    };
  },
};

export const waiting = {
  wait: ({ folder }) => {
    const fd = lockFile(folder);
    return async () => {
      await flock(fd, 'ex');
      return () => flockSync(fd, 'un');
    };
  },

  waitSync: ({ folder }) => {
    const fd = lockFile(folder);
    return () => {
      flockSync(fd, 'ex');
      return () => flockSync(fd, 'un');
    };
  },
};
