// What `semlock run` was asked for. Its options are those of flock(1) as far as both have them, and as there everything
// from the command on is the command's.

import type { ParseArgsConfig } from 'node:util';

import type { FileTarget } from '../file-name.js';
import type { Namespace } from '../namespace.js';
import { MAX_PERMITS } from '../semaphore.js';
import type { LockOwners } from '../owners.js';
import type { LockMode, LockStore } from '../store.js';
import { MAX_TIMER_MS } from '../stored-lock.js';
import { storeFrom } from './store.js';
import { printable } from './text.js';
import {
  COMMON_OPTIONS,
  EXIT,
  namespaceFrom,
  OWNERS_OPTIONS,
  ownersFrom,
  parseArguments,
  UsageError,
} from './usage.js';

export interface RunArguments extends LockOwners {
  readonly target: string | FileTarget;
  /** `undefined` for a file, whose lock is the same in all apps. */
  readonly namespace: string | undefined;
  /** Why it is that namespace, unless an option says so. */
  readonly why: Namespace | undefined;
  readonly permits: number;
  readonly posixName: string | undefined;
  readonly store: LockStore | undefined;
  readonly mode: LockMode;
  /** `undefined`: for as long as it takes. */
  readonly waitMs: number | undefined;
  readonly busyCode: number;
  readonly close: boolean;
  readonly verbose: boolean;
  readonly command: readonly [file: string, ...args: string[]];
}

/** @internal */
export const RUN_OPTIONS = {
  ...COMMON_OPTIONS,
  nonblock: { type: 'boolean', short: 'n' },
  wait: { type: 'string', short: 'w' },
  shared: { type: 'boolean', short: 's' },
  exclusive: { type: 'boolean', short: 'x' },
  'conflict-exit-code': { type: 'string', short: 'E' },
  command: { type: 'string', short: 'c' },
  close: { type: 'boolean', short: 'o' },
  verbose: { type: 'boolean', short: 'v' },
  permits: { type: 'string' },
  'posix-name': { type: 'string' },
  file: { type: 'string' },
  store: { type: 'string' },
  ...OWNERS_OPTIONS,
} as const satisfies ParseArgsConfig['options'];

/** @throws {@link UsageError} */
export function parseRun(args: readonly string[]): RunArguments | 'help' {
  const { own, rest } = split(args);
  const { values, positionals } = parseArguments({ args: own, options: RUN_OPTIONS, allowPositionals: true });
  if (values.help === true) return 'help';
  const { file } = values;
  if (file !== undefined && values.namespace !== undefined) {
    throw new UsageError('run: --file and --namespace exclude each other: the lock of a file is the same in all apps');
  }
  const target = file === undefined ? positionals[0] : { file };
  if (target === undefined) throw new UsageError('run: the name of the lock is missing');
  const { shared = false, exclusive = false, nonblock = false } = values;
  if (shared && exclusive) throw new UsageError('run: --shared and --exclusive contradict each other');
  if (nonblock && values.wait !== undefined) throw new UsageError('run: --nonblock and --wait contradict each other');
  const permits = wholeNumber('--permits', values.permits ?? '1', 1, MAX_PERMITS);
  if (shared && permits > 1) throw new UsageError('run: --shared cannot be combined with more than one of --permits');
  return {
    target,
    permits,
    posixName: values['posix-name'],
    store: storeFrom(values.store),
    ...ownersFrom(values),
    mode: shared ? 'shared' : 'exclusive',
    waitMs: waitTime(values.wait ?? '0'),
    busyCode: wholeNumber('--conflict-exit-code', values['conflict-exit-code'] ?? String(EXIT.busy), 0, 255),
    close: values.close ?? false,
    verbose: values.verbose ?? false,
    command: commandOf(values.command, rest),
    ...(file === undefined ? namespaceFrom(values.namespace) : { namespace: undefined, why: undefined }),
  };
}

/** Divides the arguments into options with the lock's name, and the command, which may begin with `--`. */
function split(args: readonly string[]): { own: string[]; rest: string[] } {
  let named = args.some((arg, at) => /^--file(=|$)/.test(arg) && !args.slice(0, at).includes('--'));
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at]!;
    if (arg === '--') return { own: args.slice(0, at), rest: args.slice(at + 1) };
    if (arg.startsWith('-')) {
      if (wantsValue(arg)) at += 1;
    } else if (named) {
      return { own: args.slice(0, at), rest: args.slice(at) };
    } else {
      named = true;
    }
  }
  return { own: [...args], rest: [] };
}

/** Whether the value of this option is the next argument. */
function wantsValue(arg: string): boolean {
  const takesValue = ([name, option]: [string, { type: string; short?: string }], key: string) =>
    option.type === 'string' && (key.length === 1 ? option.short === key : name === key);
  const all = Object.entries(RUN_OPTIONS);
  if (arg.startsWith('--')) return all.some((each) => takesValue(each, arg.slice(2)) && arg.length > 3);
  const letters = arg.slice(1).split('');
  const first = letters.findIndex((letter) => all.some((each) => takesValue(each, letter)));
  return first >= 0 && first === letters.length - 1;
}

function commandOf(script: string | undefined, rest: readonly string[]): RunArguments['command'] {
  const [file, ...args] = rest;
  if (script !== undefined) {
    if (file !== undefined) throw new UsageError('run: the command was given twice, also with --command');
    return [process.env['SHELL'] || '/bin/sh', '-c', script];
  }
  if (file === undefined || file === '') throw new UsageError('run: the command is missing; it follows the name');
  return [file, ...args];
}

function waitTime(text: string): number | undefined {
  if (text === 'forever') return undefined;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Math.round(Number(text) * 1000) : NaN;
  if (ms <= MAX_TIMER_MS) return ms;
  const most = Math.floor(MAX_TIMER_MS / 1000);
  throw new UsageError(
    `run: --wait must be a number of seconds from 0 to ${most}, or forever, not '${printable(text)}'`,
  );
}

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  throw new UsageError(`run: ${option} must be a whole number from ${min} to ${max}, not '${printable(text)}'`);
}
