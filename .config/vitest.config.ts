import { defineConfig } from 'vitest/config';

import { QUICK_START } from './quick-start.js';

/** They measure times: side by side they would disturb each other. */
const alone = ['test/{unit,integration/{cluster,waiting}}/**/*.test.ts', 'test/integration/cli/start.test.ts'];
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
    maxWorkers: 2,
    // Within a file, those that say so do nothing but wait.
    maxConcurrency: 30,
    projects: [
      {
        extends: true,
        // They start processes, and mostly wait for them.
        test: {
          name: 'side by side',
          include: ['test/{integration,docs}/**/*.test.ts', 'test/stores/*.test.ts'],
          exclude: alone,
        },
      },
      {
        extends: true,
        test: {
          name: 'one by one',
          include: alone,
          exclude: [decorators],
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      compiledTo('standard'),
      compiledTo('legacy'),
    ],
  },
});
