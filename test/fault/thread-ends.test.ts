// A thread that is terminated, and a process that exits, while threads are inside functions of the addon: that is an
// ordinary end, never an abort. `npm run test:ends` has two thousand threads and two hundred exits, and then again with
// the addon built for AddressSanitizer.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { removeFilesOf } from '../support/shm.js';
import { FAULT_ADDON } from './support/lock-process.js';
import { recipes } from './support/thread-ends-recipes.mjs';

const PROGRAM = fileURLToPath(new URL('support/thread-ends.mjs', import.meta.url));
/** As many-thread-ends.mjs sets them: which addon, and the runtime that it needs where it is built for a sanitizer. */
const {
  SEMLOCK_ENDS_ADDON: ADDON = FAULT_ADDON,
  SEMLOCK_ENDS_PRELOAD: LD_PRELOAD = '',
  SEMLOCK_ENDS_SHARE: share = '1',
} = process.env;
const TERMINATIONS = Math.ceil(4 * Number(share));
const EXITS = Math.ceil(Number(share) / 2);

async function run(how: 'terminate' | 'exit', name: string): Promise<string> {
  const env = { ...process.env, LD_PRELOAD, ASAN_OPTIONS: 'detect_leaks=0' };
  const child = spawn(process.execPath, [PROGRAM, ADDON, how, name, String(TERMINATIONS)], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  // It ended with locks in hand, whose news is kept for the next to come.
  removeFilesOf(`thread-ends-${child.pid}`);
  return code === 0 ? '' : `${signal ?? code}: ${errors}`;
}

it('knows how to call each function of the addon', () => {
  const addon = createRequire(import.meta.url)(FAULT_ADDON) as object;
  const functions = Object.entries(addon).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  expect(Object.keys(recipes).sort()).toEqual([...functions, 'load', 'requests'].sort());
});

describe.each(Object.keys(recipes).filter((name) => LD_PRELOAD === '' || !name.startsWith('fault')))('%s', (name) => {
  it(`survives that its thread is terminated, ${TERMINATIONS} times`, { timeout: 600_000 }, async () => {
    expect(await run('terminate', name)).toBe('');
  });

  it(`survives the exit of its process, ${EXITS} times`, { timeout: 600_000 }, async () => {
    for (let time = 0; time < EXITS; time++) expect(await run('exit', name)).toBe('');
  });
});
