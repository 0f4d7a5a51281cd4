// What an app would have as its namespace is told before something goes wrong with it.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { semlock } from './semlock.js';

it('prints the namespace of an app in the working folder, and why it is that', () => {
  const app = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-test-')));
  onTestFinished(() => rmSync(app, { recursive: true }));
  mkdirSync(join(app, 'jobs'));
  const inFolder = (SEMLOCK_NAMESPACE = '') =>
    semlock(['namespace'], { cwd: join(app, 'jobs'), env: { ...process.env, SEMLOCK_NAMESPACE } });

  expect(inFolder()).toMatchObject({
    status: 0,
    stdout: `${app}/jobs\n`,
    stderr: `semlock: ${app}/jobs, because it is the working folder, which is in no package\n`,
  });
  writeFileSync(join(app, 'package.json'), '{"name":"shop"}');
  expect(inFolder()).toMatchObject({
    stdout: `${app}\n`,
    stderr: `semlock: ${app}, because it is the package of the working folder\n`,
  });
  expect(inFolder('fleet')).toMatchObject({
    stdout: 'fleet\n',
    stderr: 'semlock: fleet, because SEMLOCK_NAMESPACE says so\n',
  });
});

it('is what a program in that folder uses', () => {
  const app = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-test-')));
  onTestFinished(() => rmSync(app, { recursive: true }));
  writeFileSync(join(app, 'package.json'), '{"name":"shop"}');
  const semlockModule = new URL('../../../dist/index.js', import.meta.url).href;
  const script = `import { Lock } from '${semlockModule}'; console.log(new Lock('report').namespace);`;
  writeFileSync(join(app, 'server.mjs'), script);
  const env = { ...process.env, SEMLOCK_NAMESPACE: '' };
  const { stdout } = runProgram(process.execPath, [join(app, 'server.mjs')], { cwd: '/', env });
  expect(stdout).toBe(semlock(['namespace'], { cwd: app, env }).stdout);
});
