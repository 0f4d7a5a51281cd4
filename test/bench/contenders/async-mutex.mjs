// A mutex within one process, in JavaScript alone: there for scale.

import { Mutex } from 'async-mutex';

export const uncontended = {
  pair: () => {
    const mutex = new Mutex();
    return async (count) => {
      for (let i = 0; i < count; i++) (await mutex.acquire())();
    };
  },
};
