// The C sources beside this folder, compiled when they are first needed.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

const sources = join(import.meta.dirname, '../native');
const build = join(import.meta.dirname, '../build');
const require = createRequire(import.meta.url);

/** Runs the program of that name; it prints JSON. */
export async function runProgram(name, ...args) {
  const program = compiled(`${name}.c`, name, ['-pthread']);
  const { stdout } = await promisify(execFile)(program, args.map(String), { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}

/** Loads the addon of that name. */
export function loadAddon(name) {
  const { include_dir } = require('node-api-headers');
  return require(compiled(`${name}.c`, `${name}.node`, ['-shared', '-fPIC', `-I${include_dir}`]));
}

function compiled(source, target, flags) {
  const from = join(sources, source);
  const to = join(build, target);
  if (modified(to) < modified(from)) {
    mkdirSync(build, { recursive: true });
    execFileSync('cc', ['-O2', '-Wall', '-Wextra', ...flags, '-o', to, from], { stdio: ['ignore', 'pipe', 'pipe'] });
  }
  return to;
}

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
