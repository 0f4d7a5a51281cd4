// Test files of an app that run side by side have locks of their own with one line of set-up, and share them without it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';

const here = new URL('.', import.meta.url).pathname;

/** The namespaces that two test files have. */
function namespaces(setupFiles: string[]): string[] {
  const folder = mkdtempSync(join(here, 'app-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const config = { root: folder, test: { setupFiles, pool: 'forks', include: ['*.spec.mjs'] } };
  writeFileSync(join(folder, 'vitest.config.mjs'), `export default ${JSON.stringify(config)};`);
  const print = `console.log('namespace: ' + new Lock('report').namespace)`;
  for (const name of ['one', 'two']) {
    const source = `import { Lock } from 'semlock'; import { it } from 'vitest';
      it('has locks', () => { ${print}; });`;
    writeFileSync(join(folder, `${name}.spec.mjs`), source);
  }
  const vitest = new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
  const env = { ...process.env, SEMLOCK_NAMESPACE: '', VITEST: undefined, VITEST_POOL_ID: undefined };
  const { stdout } = runProgram(process.execPath, [vitest, 'run', '--config', 'vitest.config.mjs'], {
    cwd: folder,
    env,
  });
  return [...stdout.matchAll(/namespace: (.*)/g)].map(([, name]) => name!);
}

it('gives each test file of Vitest locks of its own', { timeout: 60_000 }, () => {
  const [one, two, ...rest] = namespaces(['semlock/testing']);
  expect([one, two]).toEqual([expect.stringMatching(/^test \d+ \d+$/), expect.stringMatching(/^test \d+ \d+$/)]);
  expect(one).not.toBe(two);
  expect(rest).toEqual([]);
});

it('is needed for that', { timeout: 60_000 }, () => {
  const [one, two] = namespaces([]);
  expect(one).toBeDefined();
  expect(one).toBe(two);
});
