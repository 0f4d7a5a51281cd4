import { defineConfig } from 'vitest/config';

import { QUICK_START } from './quick-start.js';

const decorators = 'test/unit/decorators/**/*.test.ts';

/** The decorator tests as one project: the same files, compiled to the given flavour of decorators. */
const compiledTo = (flavour: 'standard' | 'legacy') => ({
  extends: true as const,
  esbuild: { tsconfigRaw: { compilerOptions: { experimentalDecorators: flavour === 'legacy' } } },
  test: { name: `${flavour} decorators`, include: [decorators], provide: { flavour } },
});

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    env: QUICK_START,
    testTimeout: 20_000,
    // Threads, because vitest ends its processes by a signal: they could not leave their lock tables properly.
    pool: 'threads',
    // Tests start processes and measure times: side by side they would disturb each other.
    fileParallelism: false,
    // Within a file, those that say so do nothing but wait.
    maxConcurrency: 30,
    projects: [
      {
        extends: true,
        test: {
          name: 'main',
          include: ['test/{unit,integration,docs}/**/*.test.ts', 'test/stores/*.test.ts'],
          exclude: [decorators],
        },
      },
      compiledTo('standard'),
      compiledTo('legacy'),
    ],
  },
});
