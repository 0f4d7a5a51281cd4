// The package as its users get it: packed, installed from the registry's other packages, compiled and run. Needs the
// npm registry, so it is a run of its own.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/package/*.test.ts'],
    globalSetup: 'test/package/pack.ts',
    // Installing and compiling a framework takes its time.
    testTimeout: 120_000,
    hookTimeout: 240_000,
    maxWorkers: 2,
    maxConcurrency: 3,
  },
});
