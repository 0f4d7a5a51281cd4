// `semlock run`: a command under a lock, for shell scripts and cron jobs, as flock(1) does it.

import { SemlockError } from '../errors.js';
import type { FileTarget } from '../file-name.js';
import type { Hold } from '../hold.js';
import { MAX_PERMITS } from '../semaphore.js';
import { MAX_TIMER_MS, StoredLock, type StoredLockOptions } from '../stored-lock.js';
import { locks } from '../web-locks/lock-manager.js';
import { exitCodeOf, runCommand } from './child.js';
import { storeFrom } from './store.js';
import { duration, printable } from './text.js';
import { COMMON_OPTIONS, EXIT, HELP, namespaceFrom, parseArguments, UsageError } from './usage.js';
import { waitFor } from './wait.js';

/** Runs the command if the lock is free, or comes free in time; gives the exit code. */
export async function run(args: string[]): Promise<number> {
  const separator = args.indexOf('--');
  const own = separator < 0 ? args : args.slice(0, separator);
  const { values, positionals } = parseArguments({
    args: own,
    options: {
      ...COMMON_OPTIONS,
      wait: { type: 'string' },
      shared: { type: 'boolean' },
      permits: { type: 'string' },
      'posix-name': { type: 'string' },
      file: { type: 'string' },
      store: { type: 'string' },
    },
    allowPositionals: true,
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const ofFile = values.file !== undefined;
  const targets: (string | FileTarget | undefined)[] = ofFile ? [{ file: values.file! }, ...positionals] : positionals;
  const [name, ...others] = targets;
  if (ofFile && values.namespace !== undefined) {
    throw new UsageError('run: --file and --namespace exclude each other: the lock of a file is the same in all apps');
  }
  if (name === undefined) throw new UsageError('run: the name of the lock is missing');
  if (others.length > 0) throw new UsageError(`run: '--' must stand between the name and the command`);
  const [file, ...rest] = separator < 0 ? [] : args.slice(separator + 1);
  if (file === undefined || file === '') throw new UsageError(`run: the command is missing; it follows '--'`);

  const { shared = false } = values;
  const permits = wholeNumber('--permits', values.permits ?? '1', 1, MAX_PERMITS);
  const waitMs = wholeNumber('--wait', values.wait ?? '0', 0, MAX_TIMER_MS);
  if (shared && permits > 1) throw new UsageError('run: --shared cannot be combined with more than one of --permits');
  const lock = makeLock(name, {
    namespace: ofFile ? undefined : namespaceFrom(values.namespace),
    store: storeFrom(values.store),
    permits,
    posixName: values['posix-name'],
  });
  const held = await waitFor(lock, shared ? 'shared' : 'exclusive', waitMs);
  if (held === 'busy') {
    process.stderr.write(`semlock: ${await busySentence(lock)}\n`);
    return EXIT.busy;
  }
  if (typeof held === 'string') return exitCodeOf(held);
  try {
    const { exitCode, started } = await runCommand(file, rest, environment(held));
    if (!started) held.decline();
    return exitCode;
  } finally {
    held.release();
  }
}

/** The command is told what a program learns from its `Hold`, and not what was told to one above this. */
function environment({ abandoned }: Hold): NodeJS.ProcessEnv {
  return { ...process.env, SEMLOCK_ABANDONED: abandoned ? '1' : undefined };
}

function makeLock(name: string | FileTarget, options: StoredLockOptions) {
  try {
    return new StoredLock('run', name, options);
  } catch (error) {
    if (error instanceof SemlockError && /_(NAME|OPTION)$/.test(error.code)) throw new UsageError(error.message);
    throw error;
  }
}

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  throw new UsageError(`run: ${option} must be a whole number from ${min} to ${max}, not '${printable(text)}'`);
}

/** Says by whom it is held, as far as that is known and still so. */
async function busySentence({ name, namespace }: StoredLock): Promise<string> {
  const { held } = await locks.query({ namespace });
  const holders = held
    .filter((each) => each.name === name)
    .map(({ pid, since }) => `process ${pid} for ${duration(Date.now() - since.getTime())}`);
  const by = holders.length === 0 ? 'elsewhere' : `by ${holders.join(', ')}`;
  return `the lock ${printable(name)} is held ${by}`;
}
