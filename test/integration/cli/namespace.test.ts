// A program that is started otherwise than the app may have other locks. The command either has those of the app, or says
// which it has instead.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { describe, expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { semlock, start } from './semlock.js';

const SEMLOCK_MODULE = new URL('../../../dist/index.js', import.meta.url).href;
const env = { ...process.env, SEMLOCK_NAMESPACE: '' };

/** A folder with these files, by their paths. */
function folderWith(files: Record<string, string>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-test-')));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

describe('semlock namespace', () => {
  it('prints the namespace of an app in the working folder, and why it is that', () => {
    const app = folderWith({ 'jobs/README': '' });
    const inFolder = (SEMLOCK_NAMESPACE = '') =>
      semlock(['namespace'], { cwd: join(app, 'jobs'), env: { ...env, SEMLOCK_NAMESPACE } });
    const whose = `; its locks are those of the user of this process, in /dev/shm/semlock-${process.geteuid!()}\n`;

    expect(inFolder()).toMatchObject({
      status: 0,
      stdout: `${app}/jobs\n`,
      stderr: `semlock: ${app}/jobs, because it is the working folder, which is in no package${whose}`,
    });
    writeFileSync(join(app, 'package.json'), '{"name":"shop"}');
    expect(inFolder()).toMatchObject({
      stdout: `${app}\n`,
      stderr: `semlock: ${app}, because it is the package of the working folder${whose}`,
    });
    expect(inFolder('fleet')).toMatchObject({
      stdout: 'fleet\n',
      stderr: `semlock: fleet, because SEMLOCK_NAMESPACE says so${whose}`,
    });
  });

  it('is what a program in that folder uses', () => {
    const script = `import { Lock } from '${SEMLOCK_MODULE}'; console.log(new Lock('report').namespace);`;
    const app = folderWith({ 'package.json': '{"name":"shop"}', 'server.mjs': script });
    const { stdout } = runProgram(process.execPath, [join(app, 'server.mjs')], { cwd: '/', env });
    expect(stdout).toBe(semlock(['namespace'], { cwd: app, env }).stdout);
  });

  it('says whose its locks are, of other users and of groups too', () => {
    const said = (...args: string[]) => semlock(['namespace', ...args]).stderr;
    expect(said('--user', 'daemon')).toMatch(/; its locks are those of the user daemon, in \/dev\/shm\/semlock-1\n$/);
    expect(said('--group', 'daemon')).toMatch(/ those of the group daemon, in \/dev\/shm\/semlock-group-1\n$/);
    expect(semlock(['namespace', '--user', 'nobody there'])).toMatchObject({ status: 69, stdout: '' });
    expect(semlock(['namespace', '--user', 'daemon', '--group', 'daemon'])).toMatchObject({ status: 64, stdout: '' });
  });
});

describe('semlock run', () => {
  const run = (cwd: string, ...args: string[]) => semlock(['run', ...args], { cwd, env });

  it('in no package says which lock it has, without being asked, unless an option says which', () => {
    const what = (folder: string) =>
      `semlock: the lock is report of the namespace ${folder}, because it is the working folder, which is in no package; ` +
      'what is to share it needs --namespace or --file\n';
    for (const folder of ['/', folderWith({})]) {
      expect(run(folder, 'report', 'true')).toMatchObject({ status: 0, stderr: what(folder) });
      for (const option of [
        ['--namespace', folder, 'report'],
        ['--file', 'report'],
      ]) {
        expect(run(folder, ...option, 'true')).toMatchObject({ status: 0, stderr: '' });
      }
    }
  });

  const HOLD = `import { Lock } from '${SEMLOCK_MODULE}';
    console.log(new Lock('report').tryAcquire() ? 'held' : 'busy'); process.stdin.resume();`;

  it('in a workspace means the package in whose folder it is called, and says so', async () => {
    const root = folderWith({
      'package.json': '{"name":"shop","workspaces":["packages/*"]}',
      'packages/api/package.json': '{"name":"api"}',
      'packages/api/server.mjs': HOLD,
    });
    const server = start(process.execPath, [join(root, 'packages/api/server.mjs')], { cwd: root, env });
    await server.says('held');
    const busy = run(join(root, 'packages/api'), 'report', 'true');
    expect(busy).toMatchObject({ status: 75, stdout: '' });
    expect(busy.stderr).toContain(`the lock report of the namespace ${root}/packages/api is held by process`);
    const { status, stderr } = run(root, '--verbose', 'report', 'true');
    expect(status).toBe(0);
    expect(stderr).toContain(`report of the namespace ${root}, because it is the package of the working folder\n`);
  });

  it('excludes an app that the loader of an app server has started, as a job of the app does', async () => {
    const loader = 'passenger/helper-scripts/node-loader.js';
    const root = folderWith({
      [loader]: `import(process.env.APP);`,
      'shop/package.json': '{"name":"shop","type":"module"}',
      'shop/app.js': HOLD,
      'blog/package.json': '{"name":"blog","type":"module"}',
    });
    const app = join(root, 'shop');
    const server = start(process.execPath, [join(root, loader)], {
      cwd: app,
      env: { ...env, APP: join(app, 'app.js') },
    });
    await server.says('held');
    expect(run(app, 'report', 'true').stderr).toContain(
      `of the namespace ${app} is held by process ${server.process.pid}`,
    );
    expect(run(join(root, 'blog'), 'report', 'true')).toMatchObject({ status: 0 });
    const job = start(process.execPath, [join(app, 'app.js')], { cwd: '/', env });
    await job.says('busy');
  });
});
