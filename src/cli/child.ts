// A command that runs in place of this process, as far as its caller can tell: the same terminal, the same signals, the
// same exit code.

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

import { printable } from './text.js';
import { EXIT } from './usage.js';

/** Signals that would end this process, and free the lock with it, while the command goes on. */
const PASSED_ON = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;

export interface Ended {
  /** Of the command, or 128 and the number of the signal that ended it; where it did not start, why. */
  readonly exitCode: number;
  readonly started: boolean;
}

/** Runs a command to its end. */
export async function runCommand(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  let child: ChildProcess | undefined;
  const passOn = (signal: NodeJS.Signals): void => {
    if (!isFromKeyboard(signal)) child?.kill(signal);
  };
  // Before the command starts, so that no signal finds this process without them: they run when it has started.
  for (const signal of PASSED_ON) process.on(signal, passOn);
  try {
    child = spawn(file, args, { stdio: 'inherit', env });
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
