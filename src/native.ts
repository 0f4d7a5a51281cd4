// The one place that knows the addon's functions: beside the store of this machine, the primitives stand on it. The addon
// is loaded when the first lock of this machine is used, so that semlock can be imported on every system. The functions of
// semaphores return a result of 0 or more, or a negated errno.

import { constants } from 'node:os';

import { loadAddon } from './addon.js';
import { SemlockError, systemError, type SemlockErrorCode } from './errors.js';
import { useHash } from './names.js';

/** A native object of this thread's environment. */
export type Handle = number & { readonly __handle: unique symbol };

/** `semOpen`'s second argument. */
export const CREATE = { never: 0, ifMissing: 1, exclusive: 2 } as const;

export interface NativeAddon {
  readonly semValueMax: number;
  semOpen(name: string, create: (typeof CREATE)[keyof typeof CREATE], mode: number, value: number): Handle;
  semUnlink(name: string): void;
  semTryWait(handle: Handle): number;
  semPost(handle: Handle): number;
  semValue(handle: Handle): number;
  semClose(handle: Handle): void;

  /** What the last call had to say beside its result: `[token, abandoned]` of an entry, `[id]` of a wait. */
  readonly lockResult: Float64Array;
  /** What the two hot calls are given in place of arguments: see {@link tryAcquire} and {@link release}. */
  readonly lockArguments: Float64Array;
  lockOpen(
    namespaceId: string,
    digest: string,
    name: string,
    permits: number,
    named: boolean,
    posixName: string,
    label: string,
    ownersKind: OwnersKind,
    ownersId: number,
  ): Handle;
  /** With `lockArguments` `[handle, mode]`: the number of an entry, or a result below 0. */
  readonly lockTryAcquire: () => number;
  /** Waits on this thread, at most `timeoutMs` if that is not negative; else as `lockTryAcquire`. */
  lockAcquireSync(handle: Handle, mode: NativeMode, timeoutMs: number): number;
  /** Takes the lock from its holders; else as `lockTryAcquire`. */
  lockSteal(handle: Handle): number;
  lockError(): never;

  /** Once in a thread, before anything waits: `callback` is called when that many events are in `lockEvents`. */
  readonly lockOnEvents: (callback: (count: number) => void) => void;
  /** {@link FIELDS_PER_EVENT} fields for each event. */
  readonly lockEvents: Float64Array;
  /** Whether waiting keeps the event loop running. */
  lockKeepAlive(alive: boolean): void;
  /**
   * As `lockTryAcquire`, but {@link QUEUED} in place of busy: an event with the id in `lockResult` will come, unless it is
   * cancelled. After `timeoutMs`, if that is not negative, it has to be, since it is not served any more.
   */
  lockWait(handle: Handle, mode: NativeMode, timeoutMs: number): number;
  /** {@link BUSY}: it is over; {@link DELIVERED}: it was granted, and its event will come. */
  lockCancel(handle: Handle, id: number): number;
  /** Gives back a grant whose event came too late. If it was told that the lock was abandoned, the next holder is told. */
  lockDecline(handle: Handle, entry: number, token: number, abandoned: boolean): void;
  /** The id of the event that comes when this permit is stolen. */
  lockWatch(handle: Handle, entry: number, token: number): number;
  lockUnwatch(handle: Handle, id: number): void;

  /** With `lockArguments` `[handle, entry, token]`: 1 when it was held and is not any more, else 0. */
  readonly lockRelease: () => number;
  /** A descriptor that keeps this process alive in the eyes of others; or a negated errno. */
  lockProofOfLife(handle: Handle): number;
  lockAvailable(handle: Handle): number;
  /** Whether it is closed now: not while this thread holds the lock. */
  lockClose(handle: Handle): boolean;
  lockQuery(namespaceId: string, ownersKind: OwnersKind, ownersId: number): LockReport[];
  /** Every namespace that they have in the system. */
  lockNamespaces(ownersKind: OwnersKind, ownersId: number): NamespaceReport[];
  /** Removes the files of a namespace that no live process uses: 0. 1: it is used; 2: it owes news, and not `evenNews`. */
  lockClear(namespaceId: string, evenNews: boolean, ownersKind: OwnersKind, ownersId: number): number;
  /** Removes semaphores without a lock table, unless somebody may use them: then they are among those that are kept. */
  lockClearStrays(ownersKind: OwnersKind, ownersId: number): { removed: number; kept: number; bytes: number };
  /** How far apart the bytes to lock of one namespace are from those of the next. */
  readonly gateStep: number;

  /** See {@link useHash}. Absent where the runtime does not lend it to addons. */
  readonly sha256?: (text: string) => string | undefined;

  /** The number of a user or group of that name; -1 where there is none. */
  ownersId(kind: OwnersKind, name: string): number;
  /** To be called when this process may have become another user. */
  ownersNoteChange(): void;

  threadOpen(name: string): Handle;
  /** The token, 1 or more; or a negated errno. */
  threadTryWait(handle: Handle): number;
  threadPost(handle: Handle): number;
  threadClose(handle: Handle): void;
}

/** What calls that acquire return when all permits are held, or when the time is over. */
export const BUSY = -1;
/** What `lockWait` returns when it waits. */
export const QUEUED = -3;
/** What `lockCancel` returns when it is too late. */
export const DELIVERED = -4;
/** Each event is an id, the entry ({@link STOLEN} for a watched one), its token, and 1 if it was abandoned. */
export const FIELDS_PER_EVENT = 4;
export const STOLEN = -1;

/** Whose locks, as the addon counts: this user's, another user's, or a group's. */
export type OwnersKind = 0 | 1 | 2;

/** How a lock is held, as the addon counts: exclusive or shared. */
export type NativeMode = 0 | 1;

/** One lock as `lockQuery` finds it. */
export interface LockReport {
  readonly name: string;
  readonly permits: number;
  readonly missing: number;
  readonly holders: readonly HolderReport[];
  /** The next one to be served first. */
  readonly waiters: readonly ClientReport[];
}

/** One namespace as `lockNamespaces` finds it. */
export interface NamespaceReport {
  readonly id: string;
  /** What `lockOpen` was told when its table was made; empty where that cannot be read. */
  readonly label: string;
  /** Of memory. */
  readonly bytes: number;
  /** Unix time in ms at which somebody joined it last; 0 where it has no table. */
  readonly joined: number;
  /** How many processes use it; 1 where somebody does and nobody can tell who. */
  readonly users: number;
  /** If no process uses it: how many locks owe their next holder the news that the previous one died. */
  readonly news: number;
}

/** Who holds a lock or waits for it, how, and since when. */
export interface ClientReport {
  /** Tells the threads of all processes apart. */
  readonly client: string;
  readonly pid: number;
  readonly since: number;
  readonly mode: 'exclusive' | 'shared';
}

export interface HolderReport extends ClientReport {
  readonly token: number;
  readonly alive: boolean;
}

const { EACCES, EAGAIN, EDEADLK, EDQUOT, EEXIST, EFBIG, ENOENT, ENOSPC, EOVERFLOW, EROFS } = constants.errno;
export { EAGAIN, EDEADLK, EOVERFLOW };

/** The addon, loaded when it is first needed. */
export function addon(): NativeAddon {
  return loaded ?? bind(load());
}

let loaded: NativeAddon | undefined;

// The hot calls. They need a handle, so the addon is loaded when they are called. They are closures over constants, because
// each look into an object or a variable costs V8 some nanoseconds; and the calls into the addon have no arguments, since
// it has to call Node.js to read one.

/** The number of an entry, {@link BUSY}, or less: then `lockError` throws what is wrong. */
export let tryAcquire: (handle: Handle, mode: NativeMode) => number;
/** Whether it was held, and is not any more. */
export let release: (handle: Handle, entry: number, token: number) => boolean;
/** The token of the entry that was given last. */
export let lastToken: () => number;
/** Whether the holder before it died. */
export let lastAbandoned: () => boolean;

function bind(native: NativeAddon): NativeAddon {
  const { lockResult, lockTryAcquire, lockRelease, lockArguments } = native;
  tryAcquire = (handle, mode) => {
    lockArguments[0] = handle;
    lockArguments[1] = mode;
    return lockTryAcquire();
  };
  release = (handle, entry, token) => {
    lockArguments[0] = handle;
    lockArguments[1] = entry;
    lockArguments[2] = token;
    return lockRelease() === 1;
  };
  lastToken = () => lockResult[0]!;
  lastAbandoned = () => lockResult[1] !== 0;
  watchUser(native);
  useHash(native.sha256);
  return (loaded = native);
}

/** Tells the addon of changes of the user, because to ask at each try would take as long as the try. */
function watchUser(native: NativeAddon): void {
  for (const call of ['seteuid', 'setuid'] as const) {
    const change = process[call]?.bind(process);
    if (change === undefined) continue;
    process[call] = (id) => {
      change(id);
      native.ownersNoteChange();
    };
  }
}

function load(): NativeAddon {
  if (process.platform !== 'linux') {
    const message =
      `locks between processes of one machine need Linux (glibc or musl, x64 or arm64), and this is ${process.platform} ` +
      `${process.arch}; use memoryStore(), whose locks reach one thread, or any store on a server, as the option "store" or ` +
      'by setDefaultStore()';
    throw withoutStack(new SemlockError('ERR_SEMLOCK_PLATFORM', message));
  }
  return loadAddon() as NativeAddon;
}

/** Node.js prints the stack of an error that nobody catches at an import; the place in this file would help nobody. */
function withoutStack<E>(error: E): E {
  if (error instanceof Error) error.stack = `${error.name}: ${error.message}`;
  return error;
}

/** What the addon throws. */
interface NativeFailure {
  readonly call: string;
  readonly errno: number;
  readonly kind?: string;
}

/** Calls into the addon and turns what it throws into a {@link SemlockError}. */
export function attempt<T>(lockName: string | undefined, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const failure = error as Partial<NativeFailure>;
    if (failure.call === undefined || failure.errno === undefined) throw error;
    throw failureOf(failure.errno, failure.call, lockName, failure.kind);
  }
}

/** The {@link SemlockError} for a positive errno that `call` gave. */
export function failureOf(errno: number, call: string, lockName: string | undefined, kind?: string): SemlockError {
  const folder = kind === undefined && (call === 'open' || call === 'mkdir') ? FOLDER[errno] : undefined;
  const code: SemlockErrorCode =
    kind !== undefined
      ? (`ERR_SEMLOCK_${kind}` as SemlockErrorCode)
      : ((folder === undefined ? CODE[errno] : undefined) ?? 'ERR_SEMLOCK_SYSTEM');
  const cause = systemError(errno, call);
  const what = folder ?? MEANING[code] ?? (errno === EFBIG ? FILE_TOO_LARGE : 'the system refused');
  const subject = lockName === undefined ? '' : ` "${lockName}"`;
  return new SemlockError(code, `${what}${subject} (${cause.message})`, { lockName, cause });
}

const CODE: Record<number, SemlockErrorCode> = {
  [ENOSPC]: 'ERR_SEMLOCK_CAPACITY',
  [EDQUOT]: 'ERR_SEMLOCK_CAPACITY',
  [ENOENT]: 'ERR_SEMLOCK_NOT_FOUND',
  [EEXIST]: 'ERR_SEMLOCK_EXISTS',
  [EOVERFLOW]: 'ERR_SEMLOCK_OVERFLOW',
};

/** What is wrong with the place of the lock tables, by errno: no semaphore is opened by these calls. */
const FOLDER: Record<number, string> = {
  [ENOENT]: 'there is no /dev/shm, where locks of this machine are; mount a tmpfs there, with mode 1777:',
  [EROFS]: '/dev/shm is read-only, and locks of this machine are there; mount it so that it can be written to:',
  [EACCES]: 'this user may not write to /dev/shm, where locks of this machine are; give it mode 1777:',
};

const FILE_TOO_LARGE =
  'this process may not make a file as large as a lock table, which has 17 MB though it takes a hundredth of that; ' +
  'raise its limit (ulimit -f unlimited, or LimitFSIZE= of systemd):';

const MEANING: Partial<Record<SemlockErrorCode, string>> = {
  ERR_SEMLOCK_NOT_FOUND: 'there is no semaphore',
  ERR_SEMLOCK_EXISTS: 'there already is a semaphore',
  ERR_SEMLOCK_OVERFLOW: 'the value is at its maximum: one post too many for',
  ERR_SEMLOCK_NOT_A_SEMAPHORE: 'the file under this name is not a semaphore of this system:',
  ERR_SEMLOCK_BUSY: 'another process kept the lock table to itself for too long:',
  ERR_SEMLOCK_CAPACITY:
    'the lock table is full, or /dev/shm is; release some locks, or give /dev/shm more room (df) or more files (df -i):',
  ERR_SEMLOCK_CORRUPT: 'the lock table is damaged; stop all processes that use it, and the next one makes a new table:',
  ERR_SEMLOCK_DEADLOCK: 'without a timeoutMs this thread would wait forever for a permit that it holds itself:',
  ERR_SEMLOCK_FORKED: 'locks cannot be used in a forked child, or while the process exits:',
  ERR_SEMLOCK_GATE:
    'for 5 s another process has been in the middle of joining or leaving the namespace (stopped?), so this one cannot join:',
  ERR_SEMLOCK_LAYOUT:
    'processes with another version of semlock, or another libc (glibc, musl), use this namespace; this process can use it ' +
    'when the last of them has ended:',
  ERR_SEMLOCK_MISMATCH: 'another process uses this lock with another number of permits:',
  ERR_SEMLOCK_SLOT_LOST: 'a process that is alive has closed the file that proves it; restart it:',
  ERR_SEMLOCK_TABLE_LOST: 'the lock table was removed while processes use it; restart them:',
  ERR_SEMLOCK_GROUP: 'this process is not in the group that owns the lock:',
  ERR_SEMLOCK_USER:
    'this process has changed its user since it first used a lock, or is neither root nor the user that owns the lock; ' +
    'change the user before the first lock, or set the option "user" of this lock:',
  ERR_SEMLOCK_UNTRUSTED:
    'a file in /dev/shm is not private to this user, or to the group that owns the lock; have it removed:',
};
