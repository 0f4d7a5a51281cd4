// Who cannot build the addon reads one sentence that says what to do. Each case builds a copy of the sources, with a
// PATH that holds only what the case allows.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { runProgram } from '../../support/run-program.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

let copy: string;
beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'semlock-build-'));
  for (const part of ['native', 'package.json', 'binding.gyp'])
    cpSync(root + part, join(copy, part), { recursive: true });
  symlinkSync(`${root}node_modules`, join(copy, 'node_modules'));
});
afterEach(() => rmSync(copy, { recursive: true }));

function build(env: NodeJS.ProcessEnv = process.env) {
  return runProgram(process.execPath, [join(copy, 'native/tools/build.mjs')], {
    cwd: copy,
    env: { ...env, CXX: undefined },
  });
}

/** A PATH on which these commands are, and no others. */
function pathWith(...commands: string[]): string {
  const folder = join(copy, 'bin');
  mkdirSync(folder);
  for (const command of commands) {
    const found = (process.env['PATH'] ?? '').split(delimiter).find((path) => {
      return spawnSync(join(path, command), ['--version'], { stdio: 'ignore' }).status === 0;
    });
    writeFileSync(
      join(folder, command),
      `#!/bin/sh\nPATH='${process.env['PATH'] ?? ''}' exec '${found ?? ''}/${command}' "$@"\n`,
      {
        mode: 0o755,
      },
    );
  }
  return folder;
}

describe('a build without', () => {
  it.each([
    ['python3', ['make', 'g++'], 'python3'],
    ['make', ['python3', 'g++'], 'make'],
    ['a compiler', ['python3', 'make'], 'g++'],
    ['any of them', [], 'python3 and make and g++'],
  ])('%s says what to install', (_what, present, absent) => {
    expect(build({ ...process.env, PATH: pathWith(...present) })).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `semlock: building the addon needs ${absent}; on Debian: apt-get install python3 make g++\n`,
    });
  });

  it('dependencies says to install them', () => {
    rmSync(join(copy, 'node_modules'));
    expect(build()).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'semlock: building the addon needs node-gyp, which is not installed; run "npm ci" first\n',
    });
  });
});

describe('a build on another platform', () => {
  it('says that it needs Linux', () => {
    const pretend = join(copy, 'pretend.mjs');
    writeFileSync(pretend, `Object.defineProperty(process, 'platform', { value: 'win32' });\n`);
    const { status, stderr } = build({ ...process.env, NODE_OPTIONS: `--import=${pretend}` });
    expect(status).toBe(1);
    expect(stderr).toBe(
      'semlock: the addon needs Linux, but this is win32; run it on Linux, for example in a container\n',
    );
  });
});

describe('a build that fails', () => {
  it('says first what it does, keeps what the compiler said in a file and says where', { timeout: 60_000 }, () => {
    writeFileSync(join(copy, 'native/binding/addon.cc'), '#error "this does not compile"\n');
    // One source is enough to fail.
    const gyp = readFileSync(join(copy, 'binding.gyp'), 'utf8');
    writeFileSync(
      join(copy, 'binding.gyp'),
      gyp.replace(/"sources": \[[^\]]*\]/, '"sources": ["native/binding/addon.cc"]'),
    );

    const { status, stdout, stderr } = build();
    const log = join(copy, 'native-build.log');
    expect(status).toBe(1);
    expect(stdout).toBe('semlock: compiling the addon, which takes a quarter of a minute the first time\n');
    expect(stderr).toBe(`semlock: building the addon failed; what node-gyp said is in ${log}\n`);
    expect(readFileSync(log, 'utf8')).toContain('this does not compile');
  });
});
