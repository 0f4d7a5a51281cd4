// `semlock run` stands in front of a command as flock(1) does: whoever calls it should see the command alone, and the
// lock should be held exactly as long as the command runs.

import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';
import { locks } from '../../../src/web-locks/lock-manager.js';
import { startHolder } from '../../support/holder.js';
import { backingFile, scratchSemaphore } from '../../support/semaphore-name.js';
import { runProgram } from '../../support/run-program.js';
import { filesOf, scratchNamespace, tableOf } from '../../support/shm.js';
import { SEMLOCK, semlock, start, startSemlock } from './semlock.js';

const SIGNAL_COUNTER = fileURLToPath(new URL('signal-counter.mjs', import.meta.url));
const TERMINAL = fileURLToPath(new URL('terminal.py', import.meta.url));
const PACKAGE = fileURLToPath(new URL('../../../package.json', import.meta.url));
const FOLDER = fileURLToPath(new URL('.', import.meta.url));
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
        stderr: expect.stringMatching(
          `^semlock: the lock report of the namespace ${namespace} is held by process ${pid} for \\d+s\n$`,
        ),
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
    expect(stderr).toMatch(/^semlock: another process uses this lock with another number of permits.*\n$/);
  });

  it('shares a semaphore with other programs through --posix-name', () => {
    const [namespace, posixName] = [scratchNamespace(), scratchSemaphore()];
    const args = ['run', 'report', '--posix-name', posixName, '--namespace', namespace, '--', 'echo', 'ran'];
    const foreign = NamedSemaphore.create(posixName);
    expect(semlock(args)).toMatchObject({ status: 0, stdout: 'ran\n' });
    foreign.tryWait();
    expect(semlock(args)).toMatchObject({ status: 75, stderr: `semlock: the lock ${posixName} is held elsewhere\n` });
    foreign.post();
    expect(semlock(args)).toMatchObject({ status: 0 });
    foreign.close();
    expect(existsSync(backingFile(posixName))).toBe(true);
  });
});

describe('semlock run --wait', () => {
  const waiting = (namespace: string, waitS: number | string, script: string) => {
    const [run, name, ...rest] = underLock(namespace, script) as [string, string, ...string[]];
    return [run, name, '--wait', String(waitS), ...rest];
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
    const running = startSemlock(waiting(namespace, 20, 'echo ran'));
    await becomesWaitedFor();
    held.release();
    expect(await running.ended()).toMatchObject({ status: 0, stdout: 'ran\n', stderr: '' });
  });

  it.each([0, 0.05])('ends with 75 as without it when %d s have passed', async (waitS) => {
    const namespace = scratchNamespace();
    const { pid } = await startHolder('report', { namespace });
    expect(semlock(waiting(namespace, waitS, 'echo ran'))).toMatchObject({
      status: 75,
      stdout: '',
      stderr: expect.stringContaining(` is held by process ${pid} for `),
    });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('ends on %s with %i, out of the queue and without running the command', async (signal, code) => {
    const namespace = scratchNamespace();
    const { isWaitedFor, becomesWaitedFor } = startReading(namespace);
    const running = startSemlock(waiting(namespace, 20, 'echo ran'));
    await becomesWaitedFor();
    running.process.kill(signal);
    expect(await running.ended()).toEqual({ status: code, signal: null, stdout: '', stderr: '' });
    expect(isWaitedFor()).toBe(false);
  });

  it('passes a signal on to the command once that runs', async () => {
    const namespace = scratchNamespace();
    const { held, becomesWaitedFor } = startReading(namespace);
    const command = ['--', process.execPath, SIGNAL_COUNTER];
    const running = startSemlock(['run', 'report', '--wait', '20', '--namespace', namespace, ...command]);
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
    const { status, stdout } = await start('python3', [TERMINAL, number, SEMLOCK, ...args]).ended();
    expect(stdout).toContain(`{"${signal}":1}`);
    expect(status).toBe(42);
  });
});

describe('semlock run, when it is killed itself', () => {
  /** Something that a command can wait for when nobody is left who could write to it: Node.js closes what it wrote to. */
  function gate() {
    const folder = mkdtempSync(join(tmpdir(), 'semlock-test-'));
    const file = join(folder, 'open');
    const open = () => writeFileSync(file, '');
    onTestFinished(() => {
      open(); // whatever became of the test, its command ends
      setTimeout(() => rmSync(folder, { recursive: true }), 1_000).unref();
    });
    return { open, wait: `until [ -e '${file}' ]; do sleep 0.02; done; echo "went on"` };
  }

  /** Starts a command that outlives its semlock, and kills that. */
  async function killSemlock(script: string, ...options: string[]) {
    const namespace = scratchNamespace();
    const running = startSemlock(['run', ...options, 'report', '--namespace', namespace, '--', 'sh', '-c', script]);
    await running.says('started');
    running.process.kill('SIGKILL');
    await once(running.process, 'exit');
    const lock = new Lock('report', { namespace });
    const comesFree = () =>
      expect.poll(() => lock.tryAcquire()?.abandoned, { timeout: 10_000, interval: 5 }).toBe(true);
    return { running, lock, comesFree };
  }

  it('leaves the lock to the command, until that has ended', async () => {
    const { open, wait } = gate();
    const { running, lock, comesFree } = await killSemlock(`echo started; ${wait}`);
    expect(lock.tryAcquire()).toBeNull();
    await expect(lock.acquire({ timeoutMs: 100 }), 'nor does a wait take it for dead').rejects.toMatchObject({
      code: 'ERR_SEMLOCK_TIMEOUT',
    });
    open();
    await running.says('went on');
    await comesFree();
  });

  it('leaves it to what the command has started and left behind, too', async () => {
    const [command, left] = [gate(), gate()];
    const { running, lock, comesFree } = await killSemlock(
      `(${left.wait}) & echo started; ${command.wait}; echo ended`,
    );
    command.open();
    await running.says('ended');
    expect(lock.tryAcquire()).toBeNull();
    left.open();
    await comesFree();
  });

  it('frees the lock at once with --close, though the command goes on', async () => {
    const { open, wait } = gate();
    const { running, comesFree } = await killSemlock(`echo started; ${wait}`, '--close');
    await comesFree();
    open();
    await running.says('went on');
  });

  it('frees the lock with the command when it lives, whatever that has left behind', async () => {
    const { open, wait } = gate();
    const namespace = scratchNamespace();
    const running = startSemlock(underLock(namespace, `(${wait}) &`));
    await once(running.process, 'exit');
    const hold = new Lock('report', { namespace }).tryAcquire()!;
    expect(hold.abandoned).toBe(false);
    hold.release();
    open();
    await running.says('went on');
  });
});

describe('the command of semlock run', () => {
  it('has the descriptors that the caller has given', () => {
    const script = '"$0" run report --namespace "$1" -- bash -c "cat <&3; cat <&11" 3<"$2" 11<"$2"';
    const { stdout } = runProgram('bash', ['-c', script, SEMLOCK, scratchNamespace(), PACKAGE]);
    expect(stdout).toBe(readFileSync(PACKAGE, 'utf8').repeat(2));
  });

  it('has no others but the one that proves that it lives', () => {
    const namespace = scratchNamespace();
    const list = 'ls -l /proc/self/fd | grep -v " /proc/" | wc -l';
    const count = (...options: string[]) =>
      Number(semlock(['run', ...options, 'report', '--namespace', namespace, '--', 'sh', '-c', list]).stdout);
    expect(count()).toBe(count('--close') + 1);
    expect(count('--close'), 'as many as without semlock').toBe(Number(runProgram('sh', ['-c', list]).stdout));
  });

  it('does not find what was told to semlock alone', () => {
    const { stdout } = semlock(underLock(scratchNamespace(), 'env'));
    expect(stdout).toContain('PATH=');
    expect(stdout).not.toContain('SEMLOCK_CALLER');
  });

  it('ignores what its caller ignores, as under nohup, and semlock does', async () => {
    const args = [
      'run',
      'report',
      '--namespace',
      scratchNamespace(),
      '--',
      'sh',
      '-c',
      'echo started; read line; echo done',
    ];
    const running = start('sh', ['-c', 'trap "" HUP; exec "$0" "$@"', SEMLOCK, ...args]);
    await running.says('started');
    running.process.kill('SIGHUP');
    running.process.stdin.end('\n');
    expect(await running.ended()).toMatchObject({ status: 0, stdout: 'started\ndone\n' });
  });

  it('is the first argument after the name that is no option, as with flock', () => {
    const namespace = scratchNamespace();
    expect(semlock(['run', '-n', '--namespace', namespace, 'report', 'echo', '-n', '--shared'])).toMatchObject({
      status: 0,
      stdout: '--shared',
    });
  });

  it('may be a script for the shell', () => {
    const namespace = scratchNamespace();
    const env = { ...process.env, SHELL: '/bin/sh' };
    const args = ['run', '--namespace', namespace, 'report', '-c', 'echo "$0"; exit 3'];
    expect(semlock(args, { env })).toMatchObject({ status: 3, stdout: '/bin/sh\n' });
  });
});

describe('the options of semlock run', () => {
  it('-E sets the code for busy', async () => {
    const namespace = scratchNamespace();
    await startHolder('report', { namespace });
    expect(semlock(['run', '-E', '9', '--namespace', namespace, 'report', 'true'])).toMatchObject({ status: 9 });
  });

  it('-w forever waits for as long as it takes', async () => {
    const namespace = scratchNamespace();
    const lock = new Lock('report', { namespace });
    const held = lock.tryAcquire()!;
    const running = startSemlock(['run', '-w', 'forever', '-x', '--namespace', namespace, 'report', 'echo', 'ran']);
    await expect.poll(async () => (await locks.query({ namespace })).pending, { timeout: 10_000 }).toHaveLength(1);
    held.release();
    expect(await running.ended()).toMatchObject({ status: 0, stdout: 'ran\n' });
  });

  it('-v says which lock it is, and why, and how long the wait took', () => {
    const namespace = scratchNamespace();
    const { stderr } = semlock(['run', '-v', '--namespace', namespace, 'report', 'true']);
    expect(stderr).toMatch(`semlock: the lock is report of the namespace ${namespace}\n`);
    expect(stderr).toMatch(/semlock: got it after \d+ ms\n$/);
    const app = semlock(['run', '-v', 'report', 'true'], {
      cwd: FOLDER,
      env: { ...process.env, SEMLOCK_NAMESPACE: '' },
    });
    expect(app.stderr).toContain('because it is the package of the working folder');
  });
});
