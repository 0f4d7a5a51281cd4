// Processes that use a lock of this machine without a plan, while some are killed and stopped; what they wrote down is
// checked, as it is of the stores on servers.

import { expect, it } from 'vitest';

import { Run, SECONDS, timeout, type RunOptions } from '../support/history/run.js';

const store: RunOptions['store'] = () => ({ kind: 'process' });

it.each([1, 3])('of %i permits, with holders that are killed', { timeout }, async (permits) => {
  const run = await Run.of({ store, permits, grants: 100 * SECONDS }, (run) =>
    run.every(300, async () => {
      await run.kill(run.holder());
      await run.startClient();
    }),
  );
  expect(run.problems).toEqual([]);
  expect(run.failures).toEqual([]);
});

it('with holders that are stopped, and keep what they have', { timeout }, async () => {
  const run = await Run.of({ store, holdMs: 20, grants: 10 * SECONDS }, (run) =>
    run.every(100, () => run.pause(run.holder(), 400)),
  );
  expect(run.problems).toEqual([]);
  expect(run.grants.filter(({ lost }) => lost !== undefined)).toEqual([]);
});
