// Names decide what is the same lock. Two that differ in anything must never meet, in whatever way they are spelled.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { defaultNamespace } from '../../../src/namespace.js';
import { checkPosixName, namespaceId } from '../../../src/names.js';
import { runProgram } from '../../support/run-program.js';

describe("the posixName of a lock's semaphore", () => {
  const semaphoreName = (namespace: string, name: string): string => new Lock(name, { namespace }).posixName;
  const names = ['a', 'A', 'a ', 'b', 'a\0', '\ud800', '\udc00', '\ufffd', '🔒', 'é', 'e\u0301', 'x'.repeat(10_000)];

  it('is a valid POSIX name of 30 characters, which suits macOS too', () => {
    for (const name of names) {
      const posixName = semaphoreName('app', name);
      expect(posixName).toMatch(/^\/semlock\.[\w-]{21}$/);
      expect(() => checkPosixName('test()', posixName)).not.toThrow();
    }
  });

  it('is the same for the same namespace and name', () => {
    expect(semaphoreName('app', 'report')).toBe(semaphoreName('app', 'report'));
  });

  it('differs for names that differ, also in what UTF-8 cannot tell apart', () => {
    expect(new Set(names.map((name) => semaphoreName('app', name))).size).toBe(names.length);
  });

  it('differs for namespaces that differ', () => {
    expect(new Set(names.map((namespace) => semaphoreName(namespace, 'report'))).size).toBe(names.length);
    expect(semaphoreName('ab', 'c')).not.toBe(semaphoreName('a', 'bc'));
  });

  it('is made of the SHA-256 of the code units, so that programs in other languages can find it', () => {
    for (const name of names) {
      const digest = createHash('sha256').update(name, 'utf16le').digest('base64url');
      expect(semaphoreName('app', name)).toBe(`/semlock.${namespaceId('app').slice(0, 8)}${digest.slice(0, 13)}`);
    }
  });

  it('starts alike within one namespace, so that all of one can be found', () => {
    expect(semaphoreName('app', 'a').slice(0, 17)).toBe(semaphoreName('app', 'b').slice(0, 17));
    expect(semaphoreName('app', 'a').slice(0, 17)).not.toBe(semaphoreName('app2', 'a').slice(0, 17));
  });
});

describe("a namespace's id", () => {
  it('is the same each time, whichever others were asked for in between', () => {
    const ids = ['app', 'app2', 'app', 'app2'].map(namespaceId);
    expect(ids[2]).toBe(ids[0]);
    expect(ids[3]).toBe(ids[1]);
    expect(ids[1]).not.toBe(ids[0]);
  });

  it('suits a file name, and differs between users', () => {
    const mine = namespaceId('app');
    expect(mine).toMatch(/^[\w-]{22}$/);
    const getuid = vi.spyOn(process, 'getuid').mockReturnValue(54_321);
    try {
      expect(namespaceId('app')).not.toBe(mine);
    } finally {
      getuid.mockRestore();
    }
  });
});

describe('the default namespace', () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-names-')));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });

  const names = new URL('../../../dist/namespace.js', import.meta.url).href;
  const print = `import('${names}').then(({ defaultNamespace }) => console.log(defaultNamespace()));\n`;

  /** What a script at this place prints, started in this way. */
  function namespaceOf(
    script: string,
    { source = print, runAs = join(folder, script), cwd = tmpdir(), env = {} }: NamespaceOf = {},
  ): string {
    const path = join(folder, script);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, source);
    const { stdout, stderr } = runProgram(process.execPath, [runAs], {
      cwd,
      env: { ...process.env, SEMLOCK_NAMESPACE: '', ...env },
    });
    expect(stderr).toBe('');
    return stdout.trim();
  }
  interface NamespaceOf {
    readonly source?: string;
    readonly runAs?: string;
    readonly cwd?: string;
    readonly env?: NodeJS.ProcessEnv;
  }

  function makePackage(...path: string[]): string {
    const place = join(folder, ...path);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'package.json'), '{}');
    return place;
  }

  it('is what SEMLOCK_NAMESPACE says, which must not change once it was asked for', () => {
    vi.stubEnv('SEMLOCK_NAMESPACE', 'first');
    expect(defaultNamespace()).toBe('first');
    expect(new Lock('report').namespace).toBe('first');
    for (const [now, said] of [
      ['second', 'was "second" now'],
      ['', 'was not set now'],
    ] as const) {
      vi.stubEnv('SEMLOCK_NAMESPACE', now);
      expect(() => new Lock('report'), 'it would be held twice').toThrow(
        expect.objectContaining({ code: 'ERR_SEMLOCK_NAMESPACE', message: expect.stringContaining(said) }),
      );
      expect(new Lock('report', { namespace: 'mine' }).namespace).toBe('mine');
    }
    vi.stubEnv('SEMLOCK_NAMESPACE', 'first');
    expect(defaultNamespace()).toBe('first');
  });

  it('is otherwise the folder of the nearest package.json above the main script', () => {
    const app = makePackage('app');
    expect(namespaceOf('app/server.mjs')).toBe(app);
    expect(namespaceOf('app/jobs/nightly/report.mjs')).toBe(app);
  });

  it('is that of an inner package for a script in it', () => {
    makePackage('app');
    const inner = makePackage('app', 'packages', 'inner');
    expect(namespaceOf('app/packages/inner/server.mjs')).toBe(inner);
  });

  it('does not depend on the working folder or on the link that the script was started through', () => {
    const app = makePackage('app');
    const elsewhere = makePackage('elsewhere');
    symlinkSync(app, join(elsewhere, 'current'));
    const runAs = join(elsewhere, 'current', 'server.mjs');
    expect(namespaceOf('app/server.mjs', { cwd: elsewhere, runAs })).toBe(app);
  });

  it('does not depend on how the script was named on the command line', () => {
    const app = makePackage('app');
    expect(namespaceOf('app/index.js', { runAs: '.', cwd: app })).toBe(app);
    expect(namespaceOf('app/server.js', { runAs: 'server', cwd: app })).toBe(app);
    expect(namespaceOf('app/server.js', { runAs: '../app/server.js', cwd: app })).toBe(app);
  });

  it("is the app's under PM2, which loads it from a script of its own", () => {
    const app = makePackage('app');
    makePackage('pm2');
    const env = { pm_exec_path: join(app, 'server.js') };
    writeFileSync(env.pm_exec_path, '');
    expect(namespaceOf('pm2/lib/ProcessContainerFork.js', { env })).toBe(app);
    expect(namespaceOf('app/other.js', { env: { pm_exec_path: '/elsewhere/x.js' } })).toBe(app);
  });

  it("is the script's own folder where there is no package.json above it", () => {
    expect(namespaceOf('loose/script.mjs')).toBe(join(folder, 'loose'));
  });

  it('comes from the working folder where there is no script', () => {
    const app = makePackage('app');
    const env = { ...process.env, SEMLOCK_NAMESPACE: undefined };
    for (const args of [
      ['--eval', print],
      ['--eval', print, '/elsewhere/argument.js'],
    ]) {
      expect(runProgram(process.execPath, args, { cwd: app, env }).stdout.trim()).toBe(app);
    }
  });
});
