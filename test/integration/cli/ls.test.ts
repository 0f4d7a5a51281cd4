// `semlock ls` is what one types when something hangs: it must show what is held, to people and to programs.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { createLocks } from '../../../src/web-locks/lock-manager.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';
import { startHolder } from '../../support/holder.js';
import { runProgram } from '../../support/run-program.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { scratchNamespace } from '../../support/shm.js';
import { SEMLOCK, semlock, start, startSemlock } from './semlock.js';

const ESC = '\u001b';
const TERMINAL = fileURLToPath(new URL('terminal.py', import.meta.url));

/** Runs `semlock ls`, which must work. */
function ls(namespace: string, ...args: string[]): string {
  const { status, stdout, stderr } = semlock(['ls', '--namespace', namespace, ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

describe('semlock ls', () => {
  it('prints a line for each holder, under a header', async () => {
    const namespace = scratchNamespace();
    const { pid } = await startHolder('report', { namespace });
    await startHolder('thumbnails of today', { namespace, permits: 2 });

    const [header, first, second, ...rest] = ls(namespace).split('\n');
    expect(header).toMatch(/^MODE +PID +ALIVE +SINCE +HELD FOR +TOKEN +NAME +COMMAND$/);
    expect(first).toMatch(
      RegExp(`^exclusive +${pid} +yes +\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ +\\d+s +\\d{16} +report +\\S.*$`),
    );
    expect(second).toMatch(/ {2}thumbnails of today {2}\S/);
    expect(rest).toEqual(['']);
    expect(first!.indexOf('report')).toBe(header!.indexOf('NAME'));
  });

  it('prints a line for each waiter, in the order in which they will be served, under a header of their own', async () => {
    const namespace = scratchNamespace();
    const { release } = await startHolder('report', { namespace });
    const locks = createLocks({ namespace });
    const waiting = (['shared', 'exclusive'] as const).map((mode) => locks.request('report', { mode }, () => mode));

    const [, , empty, header, first, second, ...rest] = ls(namespace).split('\n');
    expect(empty).toBe('');
    expect(header).toMatch(/^MODE +PID +SINCE +WAITS FOR +NAME$/);
    const line = (mode: string) =>
      RegExp(`^${mode} +${process.pid} +\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ +\\d+s +report$`);
    expect(first).toMatch(line('shared'));
    expect(second).toMatch(line('exclusive'));
    expect(rest).toEqual(['']);
    await release();
    expect(await Promise.all(waiting)).toEqual(['shared', 'exclusive']);
  });

  it('says so when nothing is held, which is no error', () => {
    const namespace = scratchNamespace();
    expect(ls(namespace)).toBe(`No lock is held in the namespace ${namespace}\n`);
  });

  it('says where the locks of files are, to those who name no namespace', () => {
    const { status, stdout } = semlock(['ls'], { env: { ...process.env, SEMLOCK_NAMESPACE: scratchNamespace() } });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^No lock is held in the namespace .*\n.*: semlock ls --namespace file:\/\/\n$/);
  });

  it('shows a holder that died, until somebody takes the lock', async () => {
    const namespace = scratchNamespace();
    const holder = await startHolder('report', { namespace });
    await holder.die();
    expect(ls(namespace)).toMatch(RegExp(`exclusive +${holder.pid} +no `));
    expect(ls(namespace)).toMatch(RegExp(`exclusive +${holder.pid} +no `));

    const held = new Lock('report', { namespace }).tryAcquire()!;
    expect(ls(namespace)).toMatch(RegExp(`exclusive +${process.pid} +yes `));
    held.release();
    expect(ls(namespace)).toMatch(/^No lock/);
  });

  it('shows permits that another program has', () => {
    const posixName = scratchSemaphore();
    new Lock('shared', { posixName }).tryAcquire()!.release();
    expect(semlock(['ls', '--posix-name', posixName]).stdout).toBe(`The lock ${posixName} is not held\n`);
    const foreign = NamedSemaphore.open(posixName);
    foreign.tryWait();
    expect(semlock(['ls', '--posix-name', posixName]).stdout).toBe(
      `Missing: 1 of 1 permits of ${posixName}; another program has them, or died with them\n`,
    );
    foreign.post();
    foreign.close();
  });

  it('shows names so that a terminal does not obey them', () => {
    const namespace = scratchNamespace();
    const names = [
      'new\nline',
      'red \u001b[31m',
      'turned \u202e round',
      'lone \ud800',
      'back\\slash',
      `long ${'x'.repeat(500)}`,
    ];
    const all = names.map((name) => new Lock(name, { namespace }).tryAcquire()!);

    const shown = ls(namespace)
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(/ {2,}/).at(-2));
    expect(shown).toEqual([
      'new\\nline',
      'red \\u{1b}[31m',
      'turned \\u{202e} round',
      'lone \\u{d800}',
      'back\\\\slash',
      `long ${'x'.repeat(75)}…`,
    ]);
    const { held } = JSON.parse(ls(namespace, '--json')) as { held: { name: string }[] };
    expect(held.map(({ name }) => name)).toEqual(
      names.map((name) => (name.length > 256 ? `${name.slice(0, 256)}…` : name)),
    );
    for (const each of all) each.release();
  });

  it('prints JSON for programs', async () => {
    const namespace = scratchNamespace();
    expect(JSON.parse(ls(namespace, '--json'))).toEqual({ namespace, held: [], pending: [], gaps: [] });

    const { pid } = await startHolder('report', { namespace });
    const { held } = JSON.parse(ls(namespace, '--json')) as { held: { since: string }[] };
    const [clientId, since, token] = [expect.any(String), expect.any(String), expect.any(Number)];
    const command = expect.stringContaining('holder.mjs report');
    expect(held).toEqual([{ name: 'report', mode: 'exclusive', clientId, pid, since, token, alive: true, command }]);
    expect(Math.abs(Date.parse(held[0]!.since) - Date.now())).toBeLessThan(60_000);
  });

  it('with --watch prints a line of JSON for each change, where its output is no terminal', async () => {
    const namespace = scratchNamespace();
    const watching = startSemlock(['ls', '--watch', '--namespace', namespace]);
    await watching.says('"held":[]');
    const holder = await startHolder('report', { namespace });
    await watching.says(`"pid":${holder.pid}`);
    await holder.release();
    await expect.poll(() => watching.said().split('\n').length, { timeout: 10_000 }).toBeGreaterThan(3);
    watching.process.kill('SIGTERM');
    const lines = (await watching.ended()).stdout.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { held: object[] }).held.length)).toEqual([0, 1, 0]);
  });

  it.each([
    ['with colours', {}, true],
    ['without where NO_COLOR is set', { NO_COLOR: '1' }, false],
    ['without on a terminal that has none', { TERM: 'dumb' }, false],
  ])('with --watch prints a table on a terminal, again at each change, %s', async (_, env, colours) => {
    const namespace = scratchNamespace();
    const { pid } = await startHolder('ready', { namespace });
    const set = Object.entries({ TERM: 'xterm', NO_COLOR: '', ...env }).map(([name, value]) => `${name}=${value}`);
    // The terminal presses Ctrl-C when it has read the lock's name.
    const line = [TERMINAL, '3', 'env', ...set, SEMLOCK, 'ls', '--watch', '--namespace', namespace];
    const { stdout } = await start('python3', line).ended();
    expect(stdout).toContain(`exclusive  ${pid} `);
    expect(stdout.includes('\u001b[1mMODE')).toBe(colours);
  });

  it('with --watch leaves on a terminal what was there before, and keeps within its lines', () => {
    const namespace = scratchNamespace();
    const names = ['ready', '会議室の予約', 'zzz 🍕', ...Array.from({ length: 9 }, (_, number) => `more ${number}`)];
    const all = names.map((name) => new Lock(name, { namespace }).tryAcquire()!);
    const set = ['TERM=xterm', 'NO_COLOR=1', 'TERMINAL_SIZE=70x6'];
    const { stdout } = runProgram('env', [
      ...set,
      'python3',
      TERMINAL,
      '3',
      SEMLOCK,
      'ls',
      '--watch',
      '--namespace',
      namespace,
    ]);
    for (const each of all) each.release();

    const [before, shown, after] = stdout.split(RegExp(`${ESC}\\[\\?1049[hl]`));
    expect([before, after]).toEqual(['', '']);
    expect(stdout, 'what the terminal keeps').not.toMatch(RegExp(`${ESC}\\[[23]J`));
    const lines = shown!.replace(RegExp(`${ESC}\\[[HJK]|\\^C$`, 'g'), '').split('\r\n');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toMatch(/^MODE +PID +ALIVE +HELD FOR +NAME +COMMAND$/);
    expect(lines.at(-1)).toBe('… and 8 lines more');
    const commands = lines.slice(1, 4).map((line) => line.split(/(?<=ready|予約|🍕) +/));
    expect(commands.map(([, command]) => command!.slice(0, 4))).toEqual(Array(3).fill('node'));
    expect(lines[1], 'cut').toMatch(/…$/);
  });

  it('with --watch gives the terminal back while it is stopped by Ctrl-Z, and then goes on', async () => {
    const namespace = scratchNamespace();
    await startHolder('ready', { namespace });
    const line = [TERMINAL, '26,3', 'env', 'TERM=xterm', SEMLOCK, 'ls', '--watch', '--namespace', namespace];
    const { stdout } = await start('python3', line).ended();
    const parts = stdout.replaceAll(`${ESC}[?1049h`, '|shown|').replaceAll(`${ESC}[?1049l`, '|gone|').split('|');
    expect(parts.map((part) => (part.includes('ready') ? 'table' : part))).toEqual([
      ...['', 'shown', 'table', 'gone', '(stopped)'],
      ...['shown', 'table', 'gone', ''],
    ]);
  });

  it('names the command by which the lock of a killed semlock run stays held', async () => {
    const namespace = scratchNamespace();
    const running = startSemlock([
      'run',
      '--namespace',
      namespace,
      'report',
      'sh',
      '-c',
      'echo $$; read line; : of it',
    ]);
    await running.says('\n');
    const command = Number(running.said());
    const { pid } = JSON.parse(ls(namespace, '--json')).held[0] as { pid: number };
    expect(ls(namespace)).toMatch(RegExp(`^exclusive +${pid} +yes .* semlock run --namespace`, 'm'));

    process.kill(pid, 'SIGKILL');
    await expect
      .poll(() => ls(namespace))
      .toMatch(RegExp(`^exclusive +${pid} +kept .* report +by ${command}: sh -c .*of it$`, 'm'));
    const { held } = JSON.parse(ls(namespace, '--json')) as { held: object[] };
    expect(held).toMatchObject([
      { pid, alive: true, keptBy: [{ pid: command, command: expect.stringMatching(/^sh -c/) }] },
    ]);
    running.process.stdin.end('\n');
    await expect.poll(() => ls(namespace)).toMatch(RegExp(`^exclusive +${pid} +no `, 'm'));
  });

  it('ends quietly when nobody reads its output to the end', () => {
    const script = `"$0" ls --json --namespace "$1" | true; echo "\${PIPESTATUS[0]}"`;
    const args = ['-c', script, SEMLOCK, scratchNamespace()];
    const { stdout, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  });
});

describe('the namespace that semlock looks at', () => {
  it('is, in the folder of an app or below, the one that the app has by default', () => {
    const app = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-app-')));
    onTestFinished(() => rmSync(app, { recursive: true }));
    writeFileSync(join(app, 'package.json'), '{}');
    mkdirSync(join(app, 'jobs'));
    const script = join(app, 'server.mjs');
    writeFileSync(
      script,
      `import { Lock } from '${new URL('../../../dist/index.js', import.meta.url).href}';
       import { spawnSync } from 'node:child_process';
       const held = new Lock('report').tryAcquire();
       const [semlock, cwd] = process.argv.slice(2);
       spawnSync(semlock, ['ls', '--json'], { cwd, stdio: 'inherit' });
       held.release();`,
    );
    const env = { ...process.env, SEMLOCK_NAMESPACE: '' };
    for (const cwd of [app, join(app, 'jobs')]) {
      const { stdout } = spawnSync(process.execPath, [script, SEMLOCK, cwd], { cwd: '/', env, encoding: 'utf8' });
      expect(JSON.parse(stdout)).toMatchObject({ namespace: app, held: [{ name: 'report' }] });
    }
  });

  it('is what SEMLOCK_NAMESPACE says, unless --namespace says something else', () => {
    const env = { ...process.env, SEMLOCK_NAMESPACE: 'from the environment' };
    const shown = (...args: string[]) =>
      (JSON.parse(semlock(['ls', '--json', ...args], { env }).stdout) as { namespace: string }).namespace;
    expect(shown()).toBe('from the environment');
    expect(shown('--namespace', 'from the option')).toBe('from the option');
  });
});
