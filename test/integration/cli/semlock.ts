// The command as its users start it, in a namespace of the test.

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import { runProgram, type Ended } from '../../support/run-program.js';

/** The file that `npx semlock` runs. */
export const SEMLOCK = fileURLToPath(new URL('../../../src/cli/semlock.cjs', import.meta.url));

/** Runs the command to its end. */
export function semlock(args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Ended {
  return runProgram(SEMLOCK, args, options);
}

export interface Running {
  readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  /** Waits until its standard output holds this text. */
  says(text: string): Promise<void>;
  /** What its standard output holds so far. */
  said(): string;
  /** Waits for its end, and gives all it said. */
  ended(): Promise<Ended>;
}

/** Starts a program; should the test end before, it is told to end by the end of its standard input. */
export function start(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Running {
  const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  onTestFinished(async () => {
    child.stdin.destroy();
    await closed;
  });
  return {
    process: child,
    async says(text) {
      while (!said.stdout.includes(text)) {
        const more = await Promise.race([once(child.stdout, 'data'), closed.then(() => undefined)]);
        if (more === undefined) throw new Error(`it ended without saying ${text}: ${JSON.stringify(said)}`);
      }
    },
    said: () => said.stdout,
    async ended() {
      const [status, signal] = await closed;
      return { status, signal, ...said };
    },
  };
}

/** Starts the command. */
export function startSemlock(args: readonly string[]): Running {
  return start(SEMLOCK, args);
}
