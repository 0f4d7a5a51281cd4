// What the locks do when processes are killed and stopped, and when the system is against them. A run of its own: it
// takes minutes, needs root for namespaces of the kernel, and an addon built for it.

import { defineConfig } from 'vitest/config';

import { QUICK_START } from './quick-start.js';

/** They measure, or need the whole machine. */
const alone = ['test/fault/{event-loop,many-names,stopped}.test.ts', 'test/fault/storm/*.test.ts'];

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    env: QUICK_START,
    pool: 'threads',
    testTimeout: 60_000,
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        // They start processes, kill them, and mostly wait.
        test: {
          name: 'side by side',
          include: ['test/fault/**/*.test.ts'],
          exclude: alone,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { name: 'one by one', include: alone, fileParallelism: false, sequence: { groupOrder: 2 } },
      },
    ],
  },
});
