// navigator.locks of Node.js 24.5 and later: between the threads of one process.

import { arch } from 'node:os';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export const uncontended = {
  pair: () => {
    const { locks } = globalThis.navigator ?? {};
    if (locks === undefined) throw new Error(`Node.js ${process.version} has no navigator.locks`);
    return async (count) => {
      for (let i = 0; i < count; i++) await locks.request('bench', () => undefined);
    };
  },
};

/** The path of a Node.js 24, which npm brings as a package. */
export function node24() {
  const require = createRequire(import.meta.url);
  return join(dirname(require.resolve(`node-linux-${arch()}/package.json`)), 'bin/node');
}
