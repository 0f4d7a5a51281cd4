import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/{unit,integration}/**/*.test.ts'],
    testTimeout: 20_000,
    // Tests start processes and measure times: side by side they would disturb each other.
    fileParallelism: false,
  },
});
