// `semlock run`: a command under a lock, for shell scripts and cron jobs, as flock(1) does it.

import type { Hold } from '../hold.js';
import { ownersKey } from '../owners.js';
import { StoredLock } from '../stored-lock.js';
import { readCaller, type Caller } from './caller.js';
import { exitCodeOf, runCommand } from './child.js';
import { print } from './output.js';
import { parseRun, type RunArguments } from './run-arguments.js';
import { queryOf } from './store.js';
import { duration, printable } from './text.js';
import { HELP, usageErrors } from './usage.js';
import { waitFor } from './wait.js';

/** Runs the command if the lock is free, or comes free in time; gives the exit code. */
export async function run(args: string[]): Promise<number> {
  const caller = readCaller(process.env);
  const wanted = parseRun(args);
  if (wanted === 'help') {
    print(HELP);
    return 0;
  }
  try {
    return await runLocked(wanted, caller);
  } finally {
    await wanted.store?.close?.();
  }
}

async function runLocked(wanted: RunArguments, caller: Caller): Promise<number> {
  const { mode, waitMs, verbose, close, busyCode, command, why, posixName } = wanted;
  const lock = makeLock(wanted);
  const say = (sentence: string) => process.stderr.write(`semlock: ${sentence}\n`);
  // Without being asked, where it is likely that no other program has this lock.
  const isGuess = why?.isGuess === true && posixName === undefined;
  const advice = isGuess ? '; what is to share it needs --namespace or --file' : '';
  if (verbose || isGuess) {
    say(`the lock is ${which(lock, wanted)}${why === undefined ? '' : `, because ${why.because}`}${advice}`);
  }

  const asked = Date.now();
  const hold = await waitFor(lock, mode, waitMs, caller.ignores);
  if (hold === 'busy') {
    say(await busySentence(lock, wanted));
    return busyCode;
  }
  if (typeof hold === 'string') return exitCodeOf(hold);
  if (verbose)
    say(`got it after ${Date.now() - asked} ms${hold.abandoned ? '; its previous holder died while it held it' : ''}`);
  try {
    const proofOfLife = close ? undefined : lock.proofOfLife();
    const running = runCommand(command, environment(hold), caller, proofOfLife);
    // The command has begun: it need not wait until a theft of the lock can be told.
    hold.signal.addEventListener('abort', () => say(hold.lost!.message));
    const { exitCode, started } = await running;
    if (!started) hold.decline();
    return exitCode;
  } finally {
    await hold.giveBack();
  }
}

/** The command is told what a program learns from its `Hold`, and not what was told to one above this. */
function environment({ abandoned }: Hold): NodeJS.ProcessEnv {
  return { ...process.env, SEMLOCK_ABANDONED: abandoned ? '1' : undefined };
}

function makeLock({ target, ...options }: RunArguments): StoredLock {
  const { namespace, permits, posixName, store, user, group } = options;
  return usageErrors(() => new StoredLock('run', target, { namespace, permits, posixName, store, user, group }));
}

function which({ name, namespace }: StoredLock, { posixName, ...owners }: RunArguments): string {
  const whose = ownersKey(owners);
  const lock = posixName ?? `${printable(name)} of the namespace ${printable(namespace)}`;
  return whose === '' ? lock : `${lock}, of the ${printable(whose)}`;
}

/** Says by whom it is held, as far as that is known and still so. */
async function busySentence(lock: StoredLock, wanted: RunArguments): Promise<string> {
  const { name, namespace } = lock;
  const { posixName, store, user, group } = wanted;
  const where = posixName === undefined ? { namespace } : { posixName };
  const { held } = await queryOf(store)({ ...where, user, group });
  const holders = held
    .filter((each) => each.name === (posixName ?? name))
    .map(({ pid, since }) => `process ${pid} for ${duration(Date.now() - since.getTime())}`);
  const by = holders.length === 0 ? 'elsewhere' : `by ${holders.join(', ')}`;
  const grace = holders.length === 0 && store !== undefined ? ', or its server has only just started' : '';
  return `the lock ${which(lock, wanted)} is held ${by}${grace}`;
}
