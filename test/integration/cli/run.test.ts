// `semlock run` stands in front of a command as flock(1) does: whoever calls it should see the command alone, and the
// lock should be held exactly as long as the command runs.

import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';
import { startHolder } from '../../support/holder.js';
import { backingFile, scratchSemaphore } from '../../support/semaphore-name.js';
import { filesOf, scratchNamespace, tableOf } from '../../support/shm.js';
import { SEMLOCK, semlock, start, startSemlock } from './semlock.js';

const SIGNAL_COUNTER = fileURLToPath(new URL('signal-counter.mjs', import.meta.url));
const TERMINAL = fileURLToPath(new URL('terminal.py', import.meta.url));
const CTRL_C = '3';
const CTRL_BACKSLASH = '28';

/** Arguments of a command of shell, run under the lock `report`. */
const underLock = (namespace: string, script: string) => [
  'run',
  'report',
  '--namespace',
  namespace,
  '--',
  'sh',
  '-c',
  script,
];

describe('semlock run, when the lock is free', () => {
  it('runs the command with its arguments, standard input, output and error', async () => {
    const namespace = scratchNamespace();
    const running = startSemlock([
      'run',
      'report',
      '--namespace',
      namespace,
      '--',
      'sh',
      '-c',
      'cat; echo "$@" >&2',
      'sh',
      '-x',
      '--',
      'a b',
    ]);
    running.process.stdin.end('input');
    expect(await running.ended()).toEqual({ status: 0, signal: null, stdout: 'input', stderr: '-x -- a b\n' });
  });

  it('tells the command when the holder before it died, and only that command', async () => {
    const namespace = scratchNamespace();
    const tell = underLock(namespace, 'echo "abandoned: $SEMLOCK_ABANDONED"');
    const holder = await startHolder('report', { namespace });
    await holder.die();

    expect(semlock(['run', 'report', '--namespace', namespace, '--', 'no-such-command'])).toMatchObject({
      status: 127,
    });
    expect(semlock(tell)).toMatchObject({ status: 0, stdout: 'abandoned: 1\n' });
    expect(semlock(tell, { env: { ...process.env, SEMLOCK_ABANDONED: '1' } })).toMatchObject({
      stdout: 'abandoned: \n',
    });
  });

  it.each([0, 42, 255])('ends with the exit code of the command: %i', (code) => {
    expect(semlock(underLock(scratchNamespace(), `exit ${code}`))).toMatchObject({ status: code, stderr: '' });
  });

  it.each([
    ['TERM', 143],
    ['KILL', 137],
    ['INT', 130],
  ])('ends with 128 + n when a signal ends the command: SIG%s is %i', (signal, code) => {
    expect(semlock(underLock(scratchNamespace(), `kill -${signal} $$`))).toMatchObject({ status: code, signal: null });
  });

  it('ends with 127 when there is no such command, and with 126 when it cannot be executed', () => {
    const namespace = scratchNamespace();
    const folder = mkdtempSync(join(tmpdir(), 'semlock-test-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const plainFile = join(folder, 'file');
    writeFileSync(plainFile, 'text');
    chmodSync(plainFile, 0o644);

    const missing = semlock(['run', 'report', '--namespace', namespace, '--', 'no-such-command']);
    expect(missing).toMatchObject({ status: 127, stderr: 'semlock: no-such-command: command not found\n' });
    const refused = semlock(['run', 'report', '--namespace', namespace, '--', plainFile]);
    expect(refused).toMatchObject({ status: 126, stderr: `semlock: ${plainFile}: cannot be executed (EACCES)\n` });
  });

  it('holds the lock until the command has ended, and no longer', async () => {
    const namespace = scratchNamespace();
    const lock = new Lock('report', { namespace });
    const running = startSemlock(underLock(namespace, 'echo started; read line; exit 7'));
    await running.says('started');
    expect(lock.tryAcquire()).toBeNull();

    running.process.stdin.end('\n');
    expect(await running.ended()).toMatchObject({ status: 7 });
    const held = lock.tryAcquire()!;
    expect(held).not.toBeNull();
    expect(held.abandoned).toBe(false);
    held.release();
  });

  it('leaves nothing in the system', () => {
    const namespace = scratchNamespace();
    const table = tableOf(namespace);
    const { stdout } = semlock(underLock(namespace, `ls '${table}'`));
    expect(stdout, 'the file is there while the command runs').toBe(`${table}\n`);
    expect(filesOf(namespace)).toEqual([]);
  });
});

describe('semlock run, when the lock is held', () => {
  it('does not run the command, says in one line who holds it, and ends with 75', async () => {
    const namespace = scratchNamespace();
    const { pid } = await startHolder('report', { namespace });
    expect(semlock(underLock(namespace, 'echo ran'))).toEqual(
      expect.objectContaining({
        status: 75,
        stdout: '',
        stderr: expect.stringMatching(`^semlock: the lock report is held by process ${pid} for \\d+s\n$`),
      }),
    );
  });

  it('lets as many in as --permits says', async () => {
    const namespace = scratchNamespace();
    const args = ['run', 'thumbnails', '--permits', '2', '--namespace', namespace, '--', 'echo', 'ran'];
    await startHolder('thumbnails', { namespace, permits: 2 });
    expect(semlock(args)).toMatchObject({ status: 0, stdout: 'ran\n' });
    await startHolder('thumbnails', { namespace, permits: 2 });
    expect(semlock(args)).toMatchObject({ status: 75, stdout: '' });
  });

  it('tells when others use the lock with other permits, and ends with 69', async () => {
    const namespace = scratchNamespace();
    await startHolder('report', { namespace, permits: 2 });
    const { status, stdout, stderr } = semlock(underLock(namespace, 'echo ran'));
    expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
    expect(stderr).toMatch(/^semlock: others use this lock with other permits.*\n$/);
  });

  it('shares a semaphore with other programs through --posix-name', () => {
    const [namespace, posixName] = [scratchNamespace(), scratchSemaphore()];
    const args = ['run', 'report', '--posix-name', posixName, '--namespace', namespace, '--', 'echo', 'ran'];
    const foreign = NamedSemaphore.create(posixName);
    expect(semlock(args)).toMatchObject({ status: 0, stdout: 'ran\n' });
    foreign.tryWait();
    expect(semlock(args)).toMatchObject({ status: 75, stderr: 'semlock: the lock report is held elsewhere\n' });
    foreign.post();
    expect(semlock(args)).toMatchObject({ status: 0 });
    foreign.close();
    expect(existsSync(backingFile(posixName))).toBe(true);
  });
});

describe('semlock run --wait', () => {
  const waiting = (namespace: string, waitMs: number, script: string) => {
    const [run, name, ...rest] = underLock(namespace, script) as [string, string, ...string[]];
    return [run, name, '--wait', String(waitMs), ...rest];
  };

  /** Holds the lock as a reader: other readers are let in as long as nobody waits to have it alone. */
  function startReading(namespace: string) {
    const lock = new Lock('report', { namespace });
    const held = lock.tryAcquire({ mode: 'shared' })!;
    onTestFinished(() => void held.release());
    const isWaitedFor = () => lock.tryAcquire({ mode: 'shared' })?.release() === undefined;
    const becomesWaitedFor = () => expect.poll(isWaitedFor, { timeout: 10_000, interval: 5 }).toBe(true);
    return { held, isWaitedFor, becomesWaitedFor };
  }

  it('runs the command when its turn has come', async () => {
    const namespace = scratchNamespace();
    const { held, becomesWaitedFor } = startReading(namespace);
    const running = startSemlock(waiting(namespace, 20_000, 'echo ran'));
    await becomesWaitedFor();
    held.release();
    expect(await running.ended()).toMatchObject({ status: 0, stdout: 'ran\n', stderr: '' });
  });

  it.each([0, 50])('ends with 75 as without it when %i ms have passed', async (waitMs) => {
    const namespace = scratchNamespace();
    const { pid } = await startHolder('report', { namespace });
    expect(semlock(waiting(namespace, waitMs, 'echo ran'))).toMatchObject({
      status: 75,
      stdout: '',
      stderr: expect.stringContaining(`the lock report is held by process ${pid} for `),
    });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('ends on %s with %i, out of the queue and without running the command', async (signal, code) => {
    const namespace = scratchNamespace();
    const { isWaitedFor, becomesWaitedFor } = startReading(namespace);
    const running = startSemlock(waiting(namespace, 20_000, 'echo ran'));
    await becomesWaitedFor();
    running.process.kill(signal);
    expect(await running.ended()).toEqual({ status: code, signal: null, stdout: '', stderr: '' });
    expect(isWaitedFor()).toBe(false);
  });

  it('passes a signal on to the command once that runs', async () => {
    const namespace = scratchNamespace();
    const { held, becomesWaitedFor } = startReading(namespace);
    const command = ['--', process.execPath, SIGNAL_COUNTER];
    const running = startSemlock(['run', 'report', '--wait', '20000', '--namespace', namespace, ...command]);
    await becomesWaitedFor();
    held.release();
    await running.says('ready');
    running.process.kill('SIGTERM');
    expect(await running.ended()).toMatchObject({ status: 42, stdout: 'ready\n{"SIGTERM":1}\n' });
  });
});

describe('semlock run --shared', () => {
  const shared = (namespace: string, script: string) => {
    const [run, name, ...rest] = underLock(namespace, script) as [string, string, ...string[]];
    return [run, name, '--shared', ...rest];
  };

  it('lets several run at once, and no one who wants the lock for itself', async () => {
    const namespace = scratchNamespace();
    const first = startSemlock(shared(namespace, 'echo started; read line'));
    await first.says('started');

    expect(semlock(shared(namespace, 'echo ran'))).toMatchObject({ status: 0, stdout: 'ran\n' });
    expect(semlock(underLock(namespace, 'echo ran'))).toMatchObject({ status: 75, stdout: '' });

    first.process.stdin.end('\n');
    await first.ended();
    expect(semlock(underLock(namespace, 'echo ran'))).toMatchObject({ status: 0, stdout: 'ran\n' });
  });

  it('is refused while another has the lock for itself', async () => {
    const namespace = scratchNamespace();
    await startHolder('report', { namespace });
    expect(semlock(shared(namespace, 'echo ran'))).toMatchObject({ status: 75, stdout: '' });
  });
});

describe('signals to semlock run', () => {
  it.each(['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const)(
    'passes %s on to the command, once, and lives as long as that does',
    async (signal) => {
      const namespace = scratchNamespace();
      const running = startSemlock(['run', 'report', '--namespace', namespace, '--', process.execPath, SIGNAL_COUNTER]);
      await running.says('ready');
      running.process.kill(signal);
      const { status, stdout } = await running.ended();
      expect(stdout).toBe(`ready\n{"${signal}":1}\n`);
      expect(status).toBe(42);
    },
  );

  it.each([
    ['Ctrl-C', CTRL_C, 'SIGINT'],
    ['Ctrl-\\', CTRL_BACKSLASH, 'SIGQUIT'],
  ])('leaves %s to the terminal, which gives it to the command itself', async (_key, number, signal) => {
    const args = ['run', 'report', '--namespace', scratchNamespace(), '--', process.execPath, SIGNAL_COUNTER];
    const { status, stdout } = await start('python3', [TERMINAL, number, process.execPath, SEMLOCK, ...args]).ended();
    expect(stdout).toContain(`{"${signal}":1}`);
    expect(status).toBe(42);
  });

  it('frees the lock when it is killed itself, as with any holder, though the command goes on', async () => {
    const namespace = scratchNamespace();
    const running = startSemlock(underLock(namespace, 'echo started; read line; echo "went on"'));
    await running.says('started');
    running.process.kill('SIGKILL');
    const lock = new Lock('report', { namespace });
    await expect.poll(() => lock.tryAcquire()?.abandoned, { interval: 5 }).toBe(true);

    running.process.stdin.end('\n');
    await running.says('went on');
  });
});
