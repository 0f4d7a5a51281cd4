// A command that runs in place of this process, as far as its caller can tell: the same terminal, the same descriptors, the
// same signals, the same exit code.

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

import type { Caller } from './caller.js';
import { printable } from './text.js';
import { EXIT } from './usage.js';

/** Signals that would end this process, and free the lock with it, while the command goes on. */
const PASSED_ON = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;

export interface Ended {
  /** Of the command, or 128 and the number of the signal that ended it; where it did not start, why. */
  readonly exitCode: number;
  readonly started: boolean;
}

/**
 * Runs a command to its end.
 *
 * @param proofOfLife - a descriptor for the command to keep open, and all that it starts: as long as one of them does, the
 * lock counts as held, also when this process is killed.
 */
export async function runCommand(
  command: readonly [file: string, ...args: string[]],
  env: NodeJS.ProcessEnv,
  caller: Caller,
  proofOfLife: number | undefined,
): Promise<Ended> {
  let child: ChildProcess | undefined;
  const passOn = (signal: NodeJS.Signals): void => {
    if (!caller.ignores.has(signal) && !isFromKeyboard(signal)) child?.kill(signal);
  };
  // Before the command starts, so that no signal finds this process without them: they run when it has started.
  for (const signal of PASSED_ON) process.on(signal, passOn);
  const [file, ...args] = ignoring(caller.ignores, command);
  try {
    child = spawn(file, args, { stdio: descriptors(caller.descriptors, proofOfLife), env });
    return { exitCode: await end(child), started: true };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? 'command not found' : `cannot be executed (${code})`;
    process.stderr.write(`semlock: ${printable(file)}: ${problem}\n`);
    return { exitCode: code === 'ENOENT' ? EXIT.notFound : EXIT.cannotExecute, started: false };
  } finally {
    for (const signal of PASSED_ON) process.off(signal, passOn);
  }
}

/** Shells and their scripts use the numbers below that for files of their own. */
const FIRST_HIDDEN = 10;

/** What the command finds open, by number. */
function descriptors(given: readonly number[], proofOfLife: number | undefined): (number | 'inherit' | 'ignore')[] {
  const all: (number | 'inherit' | undefined)[] = ['inherit', 'inherit', 'inherit'];
  for (const each of given) all[each] = each;
  if (proofOfLife !== undefined) {
    let free = FIRST_HIDDEN;
    while (all[free] !== undefined) free += 1;
    all[free] = proofOfLife;
  }
  return Array.from(all, (each) => each ?? 'ignore');
}

/** Node.js starts programs with the default for each signal, so a shell has to ignore them again. */
function ignoring(
  signals: ReadonlySet<string>,
  command: readonly [string, ...string[]],
): readonly [string, ...string[]] {
  const names = Array.from(signals, (signal) => signal.slice('SIG'.length)).filter((name) => !UNSETTABLE.has(name));
  return names.length === 0 ? command : ['/bin/sh', '-c', `trap '' ${names.join(' ')}; exec "$@"`, 'sh', ...command];
}

/** Other names of signals that a shell may not know, and such as nobody can ignore. */
const UNSETTABLE = new Set(['IOT', 'POLL', 'UNUSED', 'KILL', 'STOP', 'STKFLT']);

/** The exit code by which a shell tells that a signal ended a program. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

function end(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', (error) => {
      // Otherwise a signal could not be passed on, for example to a sudo of root. The command goes on, and so do we.
      if (child.pid === undefined) reject(error);
    });
    child.once('exit', (code, signal) => resolve(code ?? exitCodeOf(signal!)));
  });
}

/**
 * Whether the command has the signal already: Ctrl-C and Ctrl-\ go to all processes in the foreground of the terminal.
 * One that somebody sends to semlock alone while it is in the foreground cannot be told from that.
 */
function isFromKeyboard(signal: NodeJS.Signals): boolean {
  return (signal === 'SIGINT' || signal === 'SIGQUIT') && isInForeground();
}

/** Whether this process belongs to the foreground group of its terminal. See proc(5), /proc/[pid]/stat. */
function isInForeground(): boolean {
  let stat: string;
  try {
    stat = readFileSync('/proc/self/stat', 'utf8');
  } catch {
    return false; // /proc is not mounted, and a signal too many is better than one too few
  }
  // The second field is the command's name in parentheses and may hold anything.
  const [, , group, , , foregroundGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foregroundGroup; // -1 without a terminal
}
