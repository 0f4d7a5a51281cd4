// Where the addon cannot be loaded, importing the package fails with a code and one sentence that says what to do.

import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { runModule } from '../../support/run-program.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

let app: string;
let installed: string;
beforeAll(() => {
  app = mkdtempSync(join(tmpdir(), 'semlock-app-'));
  installed = join(app, 'node_modules/semlock');
  mkdirSync(installed, { recursive: true });
  cpSync(`${root}dist`, join(installed, 'dist'), { recursive: true });
  cpSync(`${root}package.json`, join(installed, 'package.json'));
  // What the package depends on.
  symlinkSync(`${root}node_modules`, join(installed, 'node_modules'));
});
afterAll(() => rmSync(app, { recursive: true }));

/** Imports the package in a process of its own and gives the error. */
function importError(prepare = '') {
  const source = `
    ${prepare}
    const error = await import('semlock').then(() => ({ message: 'imported' }), (error) => error);
    const { name, code, message, cause } = error;
    console.log(JSON.stringify({ name, code, message, cause: cause?.message }));
  `;
  const { stdout, stderr, status } = runModule(source, [], { cwd: app });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return JSON.parse(stdout) as { name: string; code: string; message: string; cause?: string };
}

/** One sentence is one line, without a trace. */
const oneSentence = expect.stringMatching(/^semlock [^\n]+$/);

describe('without a compiled addon', () => {
  it('the error says how to compile it', () => {
    const error = importError();
    expect(error).toMatchObject({ name: 'SemlockError', code: 'ERR_SEMLOCK_ADDON', message: oneSentence });
    expect(error.message).toContain('with python3, make and g++ installed, run "npx node-gyp rebuild" in');
    expect(error.message).toContain(installed);
    expect(error.cause).toMatch(/No native build was found/);
  });

  it('a program that does not catch it ends with that sentence, and without a trace', () => {
    const { stderr, status } = runModule("await import('semlock');", [], { cwd: app });
    expect(status).toBe(1);
    expect(stderr).toContain('SemlockError: semlock has no compiled addon');
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('the same package works once the addon is there', () => {
    const release = join(installed, 'build/Release');
    cpSync(`${root}build/Release/semlock.node`, join(release, 'semlock.node'));
    expect(importError().message).toBe('imported');
    rmSync(join(installed, 'build'), { recursive: true });
  });

  it('an addon that is broken is told with its cause', () => {
    const release = join(installed, 'build/Release');
    mkdirSync(release, { recursive: true });
    writeFileSync(join(release, 'semlock.node'), 'not a library');
    expect(importError()).toMatchObject({
      code: 'ERR_SEMLOCK_ADDON',
      message: oneSentence,
      cause: expect.stringContaining('semlock.node'),
    });
    rmSync(join(installed, 'build'), { recursive: true });
  });
});

describe('on another platform', () => {
  it.each(['win32', 'darwin'])('%s, the error names the platforms that work', (platform) => {
    expect(importError(`Object.defineProperty(process, 'platform', { value: '${platform}' });`)).toMatchObject({
      name: 'SemlockError',
      code: 'ERR_SEMLOCK_PLATFORM',
      message: expect.stringMatching(new RegExp(`^semlock needs Linux [^\\n]+; ${platform} \\w+ is not supported$`)),
    });
  });
});
