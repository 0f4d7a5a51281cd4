// The stores on servers: each test starts the server that it needs. A run of its own, because those have to be installed,
// and what happens when they fail takes its time.

import { defineConfig } from 'vitest/config';

import { QUICK_START } from './quick-start.js';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    env: QUICK_START,
    pool: 'threads',
    // They mostly wait: for leases, servers and processes.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 30_000,
    expect: { poll: { timeout: 15_000 } }, // on a machine that may be busy
    globalSetup: 'test/support/servers.ts',
    include: ['test/stores/*/**/*.test.ts'],
  },
});
