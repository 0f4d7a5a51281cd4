// flock(2) called by an addon that does nothing else.

import { lockFile } from './lock-file.mjs';
import { loadAddon } from '../harness/c-program.mjs';

export const uncontended = {
  pair: ({ folder }) => {
    const { tryLock, unlock } = loadAddon('flock-addon');
    const fd = lockFile(folder);
    return (count) => {
      for (let i = 0; i < count; i++) {
        if (tryLock(fd) !== 0) throw new Error('the file was not free');
        unlock(fd);
      }
    };
  },
};
