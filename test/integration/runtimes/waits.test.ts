// The same program in each runtime that loads the addon: Node.js, and Bun and Deno where they are installed, or where
// SEMLOCK_BUN and SEMLOCK_DENO say.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { expect, it } from 'vitest';

import { scratchNamespace } from '../../support/shm.js';

const PROGRAM = fileURLToPath(new URL('waits.mjs', import.meta.url));
const DIST = fileURLToPath(new URL('../../../dist', import.meta.url));

const { PATH = '', SEMLOCK_BUN, SEMLOCK_DENO } = process.env;
const installed = (name: string) =>
  PATH.split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));

const runtimes = [
  { runtime: 'Node.js', path: process.execPath, options: [] },
  { runtime: 'Bun', path: SEMLOCK_BUN ?? installed('bun'), options: [] },
  { runtime: 'Deno', path: SEMLOCK_DENO ?? installed('deno'), options: ['run', '--allow-all'] },
].filter(({ path }) => path !== undefined);

it.each(runtimes)('$runtime waits in turn, within a process and between processes', async ({ path, options }) => {
  const args = [...options, PROGRAM, DIST, scratchNamespace()];
  const { stdout } = await promisify(execFile)(path!, args, { timeout: 20_000 });
  expect(stdout.trim().split('\n')).toHaveLength(11);
});
