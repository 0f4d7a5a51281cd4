// A publish that lacks a binary stops: whoever installs the package has no compiler run for them.

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';

const BINARIES = ['x64', 'arm64'].flatMap((arch) =>
  ['glibc', 'musl'].map((libc) => `prebuilds/linux-${arch}/semlock.${libc}.node`),
);

function checkWith(binaries: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'semlock-publish-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const script = join(folder, 'native/tools/check-prebuilds.mjs');
  cpSync(fileURLToPath(new URL('../../../native/tools/check-prebuilds.mjs', import.meta.url)), script);
  for (const file of binaries) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), '');
  }
  const { status, stderr } = runProgram(process.execPath, [script]);
  return { status, stderr };
}

it('passes with the binaries of all platforms', () => {
  expect(checkWith(BINARIES)).toEqual({ status: 0, stderr: '' });
});

it.each(BINARIES)('stops without %s, and says so', (missing) => {
  const { status, stderr } = checkWith(BINARIES.filter((file) => file !== missing));
  expect(status).toBe(1);
  expect(stderr).toContain(`without ${missing};`);
});
