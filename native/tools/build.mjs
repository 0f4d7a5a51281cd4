// Builds the addon with node-gyp, and says in one sentence what to do where that cannot work.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { nodeDir } from './local-headers.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const log = join(root, 'native-build.log');

function stop(sentence) {
  console.error(`semlock: ${sentence}`);
  process.exit(1);
}

function missing(...commands) {
  return commands.every((command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status !== 0);
}

if (process.platform !== 'linux') {
  stop(`the addon needs Linux, but this is ${process.platform}; run it on Linux, for example in a container`);
}
const lacks = [
  missing('python3', 'python') && 'python3',
  missing('make') && 'make',
  // CXX may carry arguments, or a launcher such as ccache before the compiler: that is left to make.
  !process.env.CXX && missing('g++') && 'g++',
].filter(Boolean);
if (lacks.length > 0) {
  stop(`building the addon needs ${lacks.join(' and ')}; on Debian: apt-get install python3 make g++`);
}

let nodeGyp;
try {
  nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
} catch {
  stop('building the addon needs node-gyp, which is not installed; run "npm ci" first');
}
const first = !existsSync(join(root, 'build/Makefile'));
if (first) console.log('semlock: compiling the addon, which takes a quarter of a minute the first time');
const args = [nodeGyp, first ? 'rebuild' : 'build', ...process.argv.slice(2)];
if (nodeDir !== undefined) args.push(`--nodedir=${nodeDir}`);

rmSync(log, { force: true });
// A compiler has much to say about one wrong template, more than the 1 MiB that spawnSync would take.
const { status, stdout, stderr } = spawnSync(process.execPath, args, {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
});
if (status !== 0) {
  writeFileSync(log, `${stdout}\n${stderr}`);
  stop(`building the addon failed; what node-gyp said is in ${log}`);
}
const warnings = stderr.split('\n').filter((line) => line.includes('warning:'));
if (warnings.length > 0) console.error(warnings.join('\n'));
