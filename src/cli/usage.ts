// What the command says about itself: its help, its exit codes, and what is wrong with the arguments it was given.

import { parseArgs, type ParseArgsConfig } from 'node:util';

import { workingFolderNamespace } from '../namespace.js';

/** Exit codes of its own: those of sysexits.h, and those that env(1) and nice(1) use for a command that does not start. */
export const EXIT = { usage: 64, unavailable: 69, busy: 75, cannotExecute: 126, notFound: 127 } as const;

const USAGE = `\
Usage: semlock ls [--namespace NS | --posix-name /X] [--json]
       semlock namespace
       semlock run NAME [--wait MS] [--shared] [--namespace NS] [--permits N] [--posix-name /X] [--store URL]
                   -- COMMAND [ARGUMENT ...]
       semlock run --file PATH [...] -- COMMAND [ARGUMENT ...]
`;

export const HELP = `\
${USAGE}
semlock ls shows who holds which lock.
semlock namespace prints which locks an app in this folder has, and why.
semlock run runs a command while it holds the lock NAME, as flock(1) does.

Options:
  --namespace NS   the namespace of the locks; default: SEMLOCK_NAMESPACE, or the folder of the
                   nearest package.json above the working folder
  --json           (ls) print JSON
  --wait MS        (run) how long to wait in turn when the lock is held elsewhere, in milliseconds. Default: 0
  --shared         (run) hold the lock together with others that share it, as readers do
  --permits N      (run) how many may hold the lock at once; all its users must say the same. Default: 1
  --posix-name /X  the POSIX name of the semaphore, shared with programs that call sem_open; it is the
                   lock then, whatever its NAME and namespace
  --file PATH      (run) the lock of a file in place of NAME, the same in all apps of this user
  --store URL      (run) where the lock lives; default: process:, this machine
  -h, --help       print this
  --version        print the version

Exit status of run: that of the command, 128 + N when signal N ended it, or
  ${EXIT.usage}   the arguments are wrong
  ${EXIT.unavailable}   the lock cannot be used; standard error says why
  ${EXIT.busy}   the lock is held elsewhere, the command was not run
  ${EXIT.cannotExecute}  the command cannot be executed
  ${EXIT.notFound}  the command was not found

The command finds SEMLOCK_ABANDONED=1 in its environment when the holder before it died with the lock in
hand, so that what the lock protects may be half done.

Signals sent to semlock are passed on to the command; one that comes while semlock waits ends the wait.
The lock is held by semlock itself: should semlock be killed with SIGKILL, the lock is free while the
command may go on.
`;

/** The arguments are wrong; the message says in what. */
export class UsageError extends Error {
  get report(): string {
    return `semlock: ${this.message}\n${USAGE}`;
  }
}

/** Options that every command has. */
export const COMMON_OPTIONS = { namespace: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;

/** @throws {@link UsageError} */
export function parseArguments<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    // What follows the first sentence is advice for other commands than these.
    throw new UsageError(/^.*?(?=\.?(\s*\n|\. |$))/s.exec((error as Error).message)?.[0]);
  }
}

/** @throws {@link UsageError} for an empty one, which is most often a shell variable that is not set. */
export function namespaceFrom(option: string | undefined): string {
  if (option === '') throw new UsageError('--namespace must not be empty');
  return option ?? workingFolderNamespace().name;
}
