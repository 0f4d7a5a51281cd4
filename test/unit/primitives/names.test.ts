// Names decide what is the same lock. Two that differ in anything must never meet, in whatever way they are spelled.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { defaultNamespace } from '../../../src/namespace.js';
import { namespaceId } from '../../../src/names.js';
import { runProgram } from '../../support/run-program.js';

describe("a namespace's id", () => {
  it('is the same each time, whichever others were asked for in between', () => {
    const ids = ['app', 'app2', 'app', 'app2'].map((each) => namespaceId(each));
    expect(ids[2]).toBe(ids[0]);
    expect(ids[3]).toBe(ids[1]);
    expect(ids[1]).not.toBe(ids[0]);
  });

  it('suits a file name, and differs between users', () => {
    const mine = namespaceId('app');
    expect(mine).toMatch(/^[\w-]{22}$/);
    const geteuid = vi.spyOn(process, 'geteuid').mockReturnValue(54_321);
    try {
      expect(namespaceId('app')).not.toBe(mine);
    } finally {
      geteuid.mockRestore();
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
