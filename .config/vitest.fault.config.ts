// What the locks do when processes are killed and stopped, and when the system is against them. A run of its own: it
// takes minutes, needs root for namespaces of the kernel, and an addon built for it.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/fault/**/*.test.ts'],
    pool: 'threads',
    testTimeout: 60_000,
    // They kill, stop and measure: side by side they would disturb each other.
    fileParallelism: false,
  },
});
