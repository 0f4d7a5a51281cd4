// Builds the addons of the fault tests beside this file.

import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

import { nodeDir } from '../../../native/tools/local-headers.mjs';

const folder = import.meta.dirname;
const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
// Configured each time: which sources there are is asked then.
const args = [nodeGyp, 'configure', 'build', '--silent'];
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
