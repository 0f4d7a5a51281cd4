// What people know from flock(1) holds for `semlock run`: both commands, with the same options, side by side.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { SEMLOCK, start, type Running } from './semlock.js';

const JOB = fileURLToPath(new URL('job.py', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'semlock-test-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

interface Command {
  readonly name: string;
  /** The command line that runs `command` under the lock of a file. */
  line(options: readonly string[], file: string, command: readonly string[]): [string, ...string[]];
}

const flock: Command = { name: 'flock', line: (options, file, command) => ['flock', ...options, file, ...command] };
const semlock: Command = {
  name: 'semlock run',
  // flock waits unless it is told not to; a script on the lock of a file is no name.
  line: (options, file, command) => [SEMLOCK, 'run', ...options, '--file', file, ...command],
};

const FOREVER: Record<string, string[]> = { flock: [], 'semlock run': ['-w', 'forever'] };

describe.each([flock, semlock])('$name', (which) => {
  const setting = () => {
    const file = join(folder, `lock ${(files += 1)}`);
    writeFileSync(file, '');
    const run = (options: string[], ...command: string[]) => {
      const [program, ...args] = which.line(options, file, command);
      return runProgram(program, args, { env: { ...process.env, SHELL: '/bin/sh' } });
    };
    const begin = (options: string[], script: string): Running => {
      const [program, ...args] = which.line(options, file, ['sh', '-c', script]);
      return start(program, args);
    };
    const isHeld = () => run(['-n', '-E', '9'], 'true').status === 9;
    return { file, run, begin, isHeld, becomesFree: () => expect.poll(isHeld, { timeout: 10_000 }).toBe(false) };
  };
  const hold = async ({ begin }: ReturnType<typeof setting>, ...options: string[]) => {
    const holder = begin(options, 'echo held; read line');
    await holder.says('held');
    return holder;
  };

  it('ends with what the command ends with', () => {
    const { run } = setting();
    expect([run([], 'true').status, run([], 'sh', '-c', 'exit 42').status]).toEqual([0, 42]);
  });

  it('leaves the standard descriptors and those above to the command', () => {
    const { file } = setting();
    const [program, ...args] = which.line([], file, ['sh', '-c', 'cat; cat <&5']);
    const script = 'echo one | "$@" 5<"$0"';
    writeFileSync(file, 'two\n');
    expect(runProgram('bash', ['-c', script, file, program, ...args]).stdout).toBe('one\ntwo\n');
    expect(readFileSync(file, 'utf8')).toBe('two\n');
  });

  it('with -n does not wait, and ends with the code of -E', async () => {
    const here = setting();
    await hold(here);
    expect(here.run(['-n', '-E', '9'], 'echo', 'ran')).toMatchObject({ status: 9, stdout: '' });
    expect(here.run(['--nonblock', '--conflict-exit-code', '8'], 'true')).toMatchObject({ status: 8 });
  });

  it('with -w waits for so many seconds', async () => {
    const here = setting();
    await hold(here);
    const from = performance.now();
    expect(here.run(['-w', '0.3', '-E', '9'], 'true').status).toBe(9);
    expect(performance.now() - from).toBeGreaterThan(290);
  });

  it('waits as long as it takes', async () => {
    const here = setting();
    const holder = await hold(here);
    const waiter = here.begin(FOREVER[which.name]!, 'echo ran');
    holder.process.stdin.end('\n');
    await waiter.says('ran');
  });

  it('with -s shares the lock with others that do, and with none that wants it with -x', async () => {
    const here = setting();
    await hold(here, '-s');
    expect(here.run(['-n', '-s', '-E', '9'], 'true').status).toBe(0);
    expect(here.run(['-n', '-x', '-E', '9'], 'true').status).toBe(9);
  });

  it('with -c runs a script', () => {
    const { run } = setting();
    expect(run([], '-c', 'echo "$0 $((1 + 1))"; exit 3')).toMatchObject({ status: 3, stdout: '/bin/sh 2\n' });
  });

  /** Kills it while a command runs that ends when it is told to. */
  const kill = async (here: ReturnType<typeof setting>, ...options: string[]) => {
    const fifo = `${here.file}.fifo`;
    runProgram('mkfifo', [fifo]);
    const running = here.begin(options, `echo started; read line <'${fifo}'; echo ended`);
    const open = () => void runProgram('sh', ['-c', `echo >'${fifo}'`]);
    await running.says('started');
    running.process.kill('SIGKILL');
    await once(running.process, 'exit');
    return { running, open };
  };

  it('killed leaves the lock to the command that goes on', async () => {
    const here = setting();
    const { running, open } = await kill(here);
    expect(here.isHeld()).toBe(true);
    open();
    await running.says('ended');
    await here.becomesFree();
  });

  it('killed with -o leaves the lock free', async () => {
    const here = setting();
    const { running, open } = await kill(here, '-o');
    await here.becomesFree();
    open();
    await running.says('ended');
  });

  it('under nohup goes on after SIGHUP, with its command', async () => {
    const { file } = setting();
    const running = start('nohup', which.line([], file, ['sh', '-c', 'echo started; read line; echo done']));
    await running.says('started');
    running.process.kill('SIGHUP');
    running.process.stdin.end('\n');
    expect(await running.ended()).toMatchObject({ status: 0, stdout: 'started\ndone\n' });
  });

  it('stopped while it waits (Ctrl-Z) passes the turn on, and has it once it goes on', async () => {
    const here = setting();
    const holder = await hold(here);
    const line = which.line(FOREVER[which.name]!, here.file, ['echo', 'late']);
    const shell = start('python3', [JOB, ...line]);
    await shell.says('pid');
    const pid = await pidIn(shell);
    onTestFinished(() => {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    });
    await expect.poll(() => waits(pid), { timeout: 10_000 }).toBe(true);
    process.kill(pid, 'SIGTSTP');
    await expect.poll(() => stateOf(pid), { timeout: 10_000 }).toBe('T');
    const next = here.begin(FOREVER[which.name]!, 'echo ran');
    holder.process.stdin.end('\n');
    await next.says('ran');
    await next.ended();
    process.kill(pid, 'SIGCONT');
    await shell.says('late');
    await shell.ended();
    await here.becomesFree();
  });

  /** The shell says it in its first line. */
  async function pidIn(shell: Running): Promise<number> {
    let said = '';
    await expect.poll(() => (said = shell.said().match(/pid (\d+)/)?.[1] ?? ''), { timeout: 10_000 }).not.toBe('');
    return Number(said);
  }

  /** flock sleeps in flock(2); semlock does once it stands in the queue, which `ls` shows. */
  function waits(pid: number): boolean {
    if (which === flock) return readFileSync(`/proc/${pid}/wchan`, 'utf8').includes('lock');
    const { stdout } = runProgram(SEMLOCK, ['ls', '--json', '--namespace', 'file://']);
    return (JSON.parse(stdout) as { pending: { pid: number }[] }).pending.some((each) => each.pid === pid);
  }

  function stateOf(pid: number): string | undefined {
    return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
  }
});
