// What the command says about itself: its help, its exit codes, and what is wrong with the arguments it was given.

import { parseArgs, type ParseArgsConfig } from 'node:util';

import { SemlockError } from '../errors.js';
import { workingFolderNamespace, type Namespace } from '../namespace.js';
import type { LockOwners } from '../owners.js';

/** Exit codes of its own: those of sysexits.h, and those that env(1) and nice(1) use for a command that does not start. */
export const EXIT = { usage: 64, unavailable: 69, busy: 75, cannotExecute: 126, notFound: 127 } as const;

export const HELP = `\
Usage: semlock run [OPTION ...] NAME COMMAND [ARGUMENT ...]
       semlock run [OPTION ...] --file PATH COMMAND [ARGUMENT ...]
       semlock run [OPTION ...] NAME --command SCRIPT
       semlock ls [--namespace NS | --posix-name /X | --all] [--user USER | --group GROUP] [--store URL]
                  [--watch] [--json]
       semlock prune [--all] [--user USER | --group GROUP] [--json]
       semlock namespace [--user USER | --group GROUP]
       semlock completion bash|zsh|fish
       semlock migrate --store postgres://USER@HOST/DATABASE [--schema NAME]

semlock run runs a command while it holds the lock NAME, as flock(1) does.
semlock ls shows who holds which lock, and who waits for it.
semlock prune removes what dead processes have left in the system, unless another process uses it.
semlock namespace prints which locks an app in this folder has, and why.
semlock completion prints what a shell needs to complete all this.
semlock migrate makes the schema of locks in a PostgreSQL database, or brings it up to date.

Options:
  -n, --nonblock       (run) do not wait when the lock is held elsewhere; the default
  -w, --wait SECONDS   (run) wait in turn for so long, or 'forever'
  -s, --shared         (run) hold the lock together with others that share it, as readers do
  -x, --exclusive      (run) hold it alone; the default
  -E, --conflict-exit-code N
                       (run) exit with N when the lock is held elsewhere. Default: ${EXIT.busy}
  -c, --command SCRIPT (run) what to run, for the shell in SHELL
  -o, --close          (run) let the command not hold the lock by itself: see below
  -v, --verbose        (run) say which lock of which namespace it is, and how long the wait took
  --file PATH          (run) the lock of a file in place of NAME, the same in all apps of this user
  --permits N          (run) how many may hold the lock at once; all its users must say the same. Default: 1
  --posix-name /X      the POSIX name of the semaphore, shared with programs that call sem_open; it is the lock
                       then, whatever its NAME and namespace
  --user USER          the locks of another user, for root
  --group GROUP        the locks of a group, whose members have them together
  --store URL          where the locks live: redis://HOST:PORT or postgres://USER@HOST/DATABASE.
                       Default: process:, this machine
  --schema NAME        (migrate) the schema that is made. Default: semlock
  --namespace NS       the namespace of the locks. Default: SEMLOCK_NAMESPACE, or the folder of the package
                       that the working folder is in
  --all                (ls) show all namespaces of this user: who uses them, and how much memory they take
                       (prune) also remove what is kept to tell the next holder that the previous one died
  --watch              (ls) go on and show each change, until Ctrl-C: on a terminal the table, else lines of JSON
  --json               (ls, prune) print JSON; with --watch a line for each change
  -h, --help           print this
  --version            print the version

The command begins with the first argument after NAME that is no option, or after '--'.

Exit status of run: that of the command, 128 + N when signal N ended it, or
  ${EXIT.usage}   the arguments are wrong
  ${EXIT.unavailable}   the lock cannot be used; standard error says why
  ${EXIT.busy}   the lock is held elsewhere, the command was not run
  ${EXIT.cannotExecute}  the command cannot be executed
  ${EXIT.notFound}  the command was not found

The command finds SEMLOCK_ABANDONED=1 in its environment when the previous holder died while it had the
lock, so that its work may be half done.

Signals sent to semlock are passed on to the command; one that comes while semlock waits ends the wait.
The lock comes free when the command has ended. Should semlock be killed before, the lock stays held until
the command has ended, and all it has started: they inherit a descriptor that proves it. With --close they
do not, and the lock is free when semlock is gone.
`;

/** The arguments are wrong; the message says in what. */
export class UsageError extends Error {
  get report(): string {
    return `semlock: ${this.message}\nTry 'semlock --help' for how it is used.\n`;
  }
}

/** Options that every command has. */
export const COMMON_OPTIONS = { namespace: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

/** Options that say whose the locks are. */
export const OWNERS_OPTIONS = { user: { type: 'string' }, group: { type: 'string' } } as const;

/** Those of `semlock namespace`. */
export const NAMESPACE_OPTIONS = { ...OWNERS_OPTIONS, help: { type: 'boolean', short: 'h' } } as const;

/** Those of `semlock migrate`, whose file loads the store. */
export const MIGRATE_OPTIONS = {
  store: { type: 'string' },
  schema: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** @throws {@link UsageError} for an empty one, which is most often a shell variable that is not set. */
export function ownersFrom({ user, group }: { user?: string; group?: string }): LockOwners {
  if (user === '') throw new UsageError('--user must not be empty');
  if (group === '') throw new UsageError('--group must not be empty');
  if (user !== undefined && group !== undefined) throw new UsageError('--user and --group exclude each other');
  return { user, group };
}

/** @throws {@link UsageError} */
export function parseArguments<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // What follows the first sentence is advice for other commands than these.
    throw new UsageError(/^.*?(?=\.?(\s*\n|\. |$))/s.exec((error as Error).message)?.[0]);
  }
}

/**
 * Calls what checks arguments by itself.
 *
 * @throws {@link UsageError} in place of what it says of a name or an option.
 */
export function usageErrors<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof SemlockError && /_(NAME|OPTION)$/.test(error.code)) throw new UsageError(error.message);
    throw error;
  }
}

/**
 * The namespace, and why it is that one where no option says so.
 *
 * @throws {@link UsageError} for an empty one, which is most often a shell variable that is not set.
 */
export function namespaceFrom(option: string | undefined): { namespace: string; why: Namespace | undefined } {
  if (option === '') throw new UsageError('--namespace must not be empty');
  if (option !== undefined) return { namespace: option, why: undefined };
  const why = workingFolderNamespace();
  return { namespace: why.name, why };
}
