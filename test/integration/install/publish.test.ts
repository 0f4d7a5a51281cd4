// A publish that lacks a binary stops, because an installation of the package runs no compiler.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';

const BINARIES = ['x64', 'arm64'].flatMap((arch) =>
  ['glibc', 'musl'].map((libc) => `prebuilds/linux-${arch}/semlock.${libc}.node`),
);
const [FIRST] = BINARIES as [string];

/** Checks a folder with these binaries, whose content is given. */
function check(binaries: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'semlock-publish-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const script of ['check-prebuilds.mjs', 'binaries.mjs']) {
    cpSync(
      fileURLToPath(new URL(`../../../native/tools/${script}`, import.meta.url)),
      join(folder, 'native/tools', script),
    );
  }
  for (const [file, content] of Object.entries(binaries)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  }
  const { status, stderr } = runProgram(process.execPath, [join(folder, 'native/tools/check-prebuilds.mjs')]);
  return { status, stderr };
}

const withAll = (content: string) => Object.fromEntries(BINARIES.map((file) => [file, content]));

it('passes with the binaries of all platforms', () => {
  expect(check(withAll('libc.so.6 GLIBC_2.2.5 GLIBC_2.17'))).toEqual({ status: 0, stderr: '' });
});

it.each(BINARIES)('stops without %s, and says so', (missing) => {
  const binaries = Object.fromEntries(BINARIES.filter((file) => file !== missing).map((file) => [file, '']));
  const { status, stderr } = check(binaries);
  expect(status).toBe(1);
  expect(stderr).toContain(`${missing} is missing;`);
});

it('stops with a binary that needs a newer glibc than old systems have', () => {
  expect(check({ ...withAll(''), [FIRST]: 'GLIBC_2.2.5 GLIBC_2.34' })).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`${FIRST} needs GLIBC_2.34;`),
  });
});

it.each(['libstdc++.so.6', 'GLIBCXX_3.4.30'])('stops with a binary that needs %s', (needed) => {
  expect(check({ ...withAll(''), [FIRST]: needed })).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`${FIRST} needs libstdc++;`),
  });
});
