// Node.js and Python as child processes, for what a test cannot do in its own: die, or be somebody else.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  /** The exit code; `null` after a signal. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, in the project's folder unless told otherwise. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Ended {
  return spawnSync(program, args, { cwd: root, encoding: 'utf8', timeout: 60_000, ...options });
}

/** Runs an ES module given as text. In the project's folder it may import `semlock`, the built package. */
export function runModule(source: string, args: readonly string[] = [], options?: { cwd?: string }): Ended {
  return runProgram(process.execPath, ['--input-type=module', '--eval', source, '--', ...args], options);
}
