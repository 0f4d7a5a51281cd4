// `semlock run`: a command under a lock, for shell scripts and cron jobs, as flock(1) does it.

import { locks } from '../lock/locks.js';
import { NamedLock } from '../lock/named-lock.js';
import { MAX_PERMITS } from '../lock/semaphore.js';
import { SemlockError } from '../errors.js';
import { runCommand } from './child.js';
import { duration, printable } from './text.js';
import { COMMON_OPTIONS, EXIT, HELP, namespaceFrom, parseArguments, UsageError } from './usage.js';

/** Runs the command if the lock is free; gives the exit code. */
export async function run(args: string[]): Promise<number> {
  const separator = args.indexOf('--');
  const own = separator < 0 ? args : args.slice(0, separator);
  const { values, positionals } = parseArguments({
    args: own,
    options: { ...COMMON_OPTIONS, permits: { type: 'string' }, 'posix-name': { type: 'string' } },
    allowPositionals: true,
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const [name, ...others] = positionals;
  if (name === undefined) throw new UsageError('run: the name of the lock is missing');
  if (others.length > 0) throw new UsageError(`run: '--' must stand between the name and the command`);
  const [file, ...rest] = separator < 0 ? [] : args.slice(separator + 1);
  if (file === undefined || file === '') throw new UsageError(`run: the command is missing; it follows '--'`);

  const lock = makeLock(name, {
    namespace: namespaceFrom(values.namespace),
    permits: permitsFrom(values.permits),
    posixName: values['posix-name'],
  });
  const held = lock.tryAcquire();
  if (held === null) {
    process.stderr.write(`semlock: ${await busySentence(lock)}\n`);
    return EXIT.busy;
  }
  try {
    return await runCommand(file, rest);
  } finally {
    held.release();
  }
}

function makeLock(name: string, options: { namespace: string; permits: number; posixName: string | undefined }) {
  try {
    return new NamedLock('run', name, options);
  } catch (error) {
    if (error instanceof SemlockError && error.code === 'ERR_SEMLOCK_NAME') throw new UsageError(error.message);
    throw error;
  }
}

function permitsFrom(option = '1'): number {
  const permits = /^\d+$/.test(option) ? Number(option) : 0;
  if (permits >= 1 && permits <= MAX_PERMITS) return permits;
  throw new UsageError(`run: --permits must be a whole number from 1 to ${MAX_PERMITS}, not '${printable(option)}'`);
}

/** Says by whom it is held, as far as that is known and still so. */
async function busySentence({ name, namespace }: NamedLock): Promise<string> {
  const { held } = await locks.query({ namespace });
  const holders = held
    .filter((each) => each.name === name)
    .map(({ pid, since }) => `process ${pid} for ${duration(Date.now() - since.getTime())}`);
  const by = holders.length === 0 ? 'elsewhere' : `by ${holders.join(', ')}`;
  return `the lock ${printable(name)} is held ${by}`;
}
