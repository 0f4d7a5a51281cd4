// Builds the addons of the fault tests beside this file.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { nodeDir } from '../../../native/local-headers.mjs';

const folder = import.meta.dirname;
const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const args = [nodeGyp, existsSync(join(folder, 'build/Makefile')) ? 'build' : 'rebuild', '--silent'];
if (nodeDir !== undefined) args.push(`--nodedir=${nodeDir}`);

const { status, stdout, stderr } = spawnSync(process.execPath, args, {
  cwd: folder,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
});
if (status !== 0) {
  console.error(`${stdout}\n${stderr}`);
  process.exit(1);
}
