// Wrong arguments must never look like a busy lock, or like a command that failed: they have a code of their own and a
// sentence that says what is wrong.

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { semlock } from './semlock.js';

const packageFile = new URL('../../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string };

describe('semlock', () => {
  it.each([
    ['--help'],
    ['-h'],
    ['ls', '--help'],
    ['run', '-h'],
    ['prune', '-h'],
    ['completion', '-h'],
    ['migrate', '-h'],
    ['namespace', '-h'],
    ['run', 'report', '--help'],
  ])('prints its help when asked: %s %s', (...args) => {
    const { status, stdout, stderr } = semlock(args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      /^Usage: semlock run .*\n( +semlock run .*\n){2} +semlock ls .*\n( +\[.*\n)? +semlock prune .*\n +semlock namespace .*\n/,
    );
    expect(stdout).toContain('75   the lock is held elsewhere');
  });

  it('prints its version', () => {
    expect(semlock(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n` });
  });

  it('leaves options after -- to the command', () => {
    const args = ['run', 'report', '--namespace', 'test of usage', '--', 'echo', '--help', '--', '--json'];
    expect(semlock(args)).toMatchObject({ status: 0, stdout: '--help -- --json\n' });
  });

  it.each([
    [[], 'a command is missing: completion, ls, migrate, namespace, prune, run'],
    [['unlock'], "there is no command 'unlock', only completion, ls, migrate, namespace, prune, run"],
    [['--json'], "Unknown option '--json'"],
    [['ls', 'report'], "Unexpected argument 'report'"],
    [['ls', '--wait'], "Unknown option '--wait'"],
    [['ls', '--namespace'], "Option '--namespace <value>' argument missing"],
    [['ls', '--namespace', ''], '--namespace must not be empty'],
    [['run'], 'run: the name of the lock is missing'],
    [['run', '--', 'true'], 'run: the name of the lock is missing'],
    [['run', '', '--', 'true'], /^semlock: run: the name must be a non-empty string, but "" was given;/],
    [
      ['run', '--file', '/tmp/x', '--namespace', 'mine', '--', 'true'],
      /^semlock: run: --file and --namespace exclude each other/,
    ],
    [
      ['run', '--file', '/no such folder/x', '--', 'true'],
      /^semlock: run: option "file" must be a path in a folder that exists/,
    ],
    [
      ['run', 'report', '--store', 'ftp://host', '--', 'true'],
      "--store must be a URL of one of these kinds: postgres:, postgresql:, process:, redis:, rediss:; not 'ftp://host'",
    ],
    [['run', 'report', '--store', '', '--', 'true'], /^semlock: --store must be a URL of one of these kinds/],
    [['run', 'report'], 'run: the command is missing; it follows the name'],
    [['run', 'report', '--'], 'run: the command is missing; it follows the name'],
    [['run', 'report', '-c', 'true', 'true'], 'run: the command was given twice, also with --command'],
    [['run', '-s', '-x', 'report', 'true'], 'run: --shared and --exclusive contradict each other'],
    [['run', '-n', '-w1', 'report', 'true'], 'run: --nonblock and --wait contradict each other'],
    [
      ['run', '-E', '256', 'report', 'true'],
      "run: --conflict-exit-code must be a whole number from 0 to 255, not '256'",
    ],
    [['run', 'report', '--wait', '-5', '--', 'true'], "Option '--wait' argument is ambiguous"],
    [
      ['run', 'report', '--wait=soon', '--', 'true'],
      "run: --wait must be a number of seconds from 0 to 2147483, or forever, not 'soon'",
    ],
    [
      ['run', 'report', '--wait', '2147484', '--', 'true'],
      "run: --wait must be a number of seconds from 0 to 2147483, or forever, not '2147484'",
    ],
    [['run', 'report', '--shared=yes', '--', 'true'], "Option '-s, --shared' does not take an argument"],
    [
      ['run', 'report', '--shared', '--permits', '2', '--', 'true'],
      'run: --shared cannot be combined with more than one of --permits',
    ],
    [['run', 'report', '--json', '--', 'true'], "Unknown option '--json'"],
    [
      ['run', 'report', '--permits', '0', '--', 'true'],
      "run: --permits must be a whole number from 1 to 1024, not '0'",
    ],
    [
      ['run', 'report', '--permits=1e2', '--', 'true'],
      "run: --permits must be a whole number from 1 to 1024, not '1e2'",
    ],
    [['ls', '--posix-name', '/x', '--namespace', 'y'], '--all, --namespace and --posix-name exclude each other'],
    [['ls', '--all', '--namespace', 'y'], '--all, --namespace and --posix-name exclude each other'],
    [['ls', '--posix-name', 'x'], /^semlock: ls: a semaphore's name is a slash and then/],
    [['prune', 'report'], "Unexpected argument 'report'"],
    [['completion'], 'completion: a shell is needed, one of bash, zsh, fish'],
    [['run', 'report', '--posix-name', 'x', '--', 'true'], /^semlock: run: a semaphore's name is a slash and then/],
  ] as const)('refuses %j', (args, sentence) => {
    const { status, stdout, stderr } = semlock(args);
    expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
    const [first, ...rest] = stderr.split('\n');
    if (typeof sentence === 'string') expect(first).toBe(`semlock: ${sentence}`);
    else expect(first).toMatch(sentence);
    expect(rest).toEqual(["Try 'semlock --help' for how it is used.", '']);
  });
});
