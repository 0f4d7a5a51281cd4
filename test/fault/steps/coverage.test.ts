// The kill matrix is complete. A kill does harm: without a lock table its permit never comes back.

import { createRequire } from 'node:module';

import { afterAll, expect, it } from 'vitest';

import { FAULT_ADDON } from '../support/lock-process.js';
import { endSpareProcesses, Room } from '../support/room.js';
import { cleaners } from './roles/cleaners.js';
import { holders } from './roles/holders.js';
import { leavers } from './roles/leavers.js';
import { newcomers } from './roles/newcomers.js';
import { readers } from './roles/readers.js';
import { repairers } from './roles/repairers.js';
import { thieves } from './roles/thieves.js';
import { waiters } from './roles/waiters.js';

const steps = (createRequire(import.meta.url)(FAULT_ADDON) as { faultSteps(): string[] }).faultSteps();

afterAll(endSpareProcesses);

it('brings somebody to every step that the code has', () => {
  const scenarios = [holders, waiters, readers, thieves, repairers, newcomers, leavers, cleaners].flat();
  expect(new Set(scenarios.flatMap((scenario) => scenario.steps))).toEqual(new Set(steps));
});

it('would see that a plain named semaphore loses the permit of a killed holder forever', async () => {
  const room = new Room();
  const name = room.posixName();
  const [victim, other] = [room.process(), room.process()];
  for (const each of [victim, other]) await each.call('semOpen', name, 1);
  expect(await victim.call('semTryWait', 0)).toBe(true);
  await victim.kill();

  for (let tries = 0; tries < 20; tries++) expect(await other.call('semTryWait', 0)).toBe(false);
  expect(await other.semValue(name)).toBe(0);
});
