// The Web Locks API, https://w3c.github.io/web-locks/, between processes: what is one origin there is one namespace
// here, and its clients are the threads of all processes that use it. Where the specification enqueues steps "on the lock
// task queue", this calls the engine at once, whose latch puts the calls of all processes in order. Callbacks are
// always called in a task of their own, as the specification has it.

import { setImmediate as nextTask, setTimeout as sleep } from 'node:timers/promises';

import { defaultNamespace } from '../namespace.js';
import { checkPosixName, namespaceId, posixNamespaceId } from '../names.js';
import { optionError, optionParser, text } from '../options.js';
import { forgetAbort, onAbort } from './abort.js';
import { GrantedLock } from './granted-lock.js';
import { decline, type Held } from './held.js';
import { KeyedLocks } from './keyed-locks.js';
import { checkRequest, convertRequest, type LockRequest, type LockRequestOptions } from './lock-request.js';
import { snapshot, type LockManagerSnapshot } from './lock-snapshot.js';
import { NamedLock } from './named-lock.js';

/** Options of {@link createLocks}. */
export interface LocksOptions {
  /** Keeps the locks of one app apart from those of others. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
}

/** Options of {@link LockManager.query}. */
export interface QueryOptions {
  /** The namespace to look at. Default: that of the manager. */
  namespace?: string;
  /** A lock with that `posixName` to look at in its place, since such locks are in no namespace. */
  posixName?: string;
}

const parseLocksOptions = optionParser<LocksOptions>()({ namespace: text() });
const parseQueryOptions = optionParser<QueryOptions>()({ namespace: text(), posixName: text() });

/** How soon to try again to steal a lock while a process is stopped that is just changing it. */
const STEAL_AGAIN_MS = 5;

const INTERNAL = Symbol('internal');
let makeManager: (namespace: string | undefined) => LockManager;

/**
 * The Web Locks API of the web platform, between all processes of this user on this machine. {@link locks} is one, and
 * {@link createLocks} makes others.
 *
 * A name means the same lock as in `new Lock(name)` of the same namespace.
 */
export class LockManager {
  readonly #namespace: string | undefined;
  #locks: { namespace: string; opened: KeyedLocks<NamedLock> } | undefined;

  static {
    makeManager = (namespace) => new LockManager(INTERNAL, namespace);
  }

  private constructor(internal: typeof INTERNAL, namespace: string | undefined) {
    if (internal !== INTERNAL) throw new TypeError('Illegal constructor: use createLocks()');
    this.#namespace = namespace;
  }

  /**
   * Calls `callback` with the lock as soon as it is this request's turn, and holds the lock until what that returns has
   * settled. Requests for a name are served in the order in which all processes made them; consecutive shared ones
   * together. What a client, which is a thread, holds or waits for ends with it, however it ends.
   *
   * The lock is not reentrant: a callback that waits for its own lock waits for ever.
   *
   * Each client has up to 64 requests for a name in the queue of all processes; those beyond take their place there when
   * earlier ones leave it.
   *
   * @param name - any string, the empty one too, that does not start with `-`. UTF-16 code units are taken as they are.
   * @returns what `callback` returned, after the lock was released.
   * @throws rejects with what `callback` throws; `TypeError` for wrong arguments; a `DOMException` `NotSupportedError`
   * for a name that starts with `-` and for options that exclude each other, and `AbortError` when the lock is stolen;
   * `signal.reason` when that aborts first; and {@link SemlockError}, with `ERR_SEMLOCK_TIMEOUT` after `timeoutMs`, or as
   * {@link Lock.acquire}.
   *
   * @example
   * ```ts
   * await locks.request('ledger', async () => { await rewriteLedger(); });
   * await locks.request('ledger', { mode: 'shared' }, () => readLedger());
   * ```
   */
  request<T>(name: string, callback: (lock: GrantedLock) => T): Promise<Awaited<T>>;
  request<T>(
    name: string,
    options: LockRequestOptions & { ifAvailable?: false },
    callback: (lock: GrantedLock) => T,
  ): Promise<Awaited<T>>;
  request<T>(name: string, options: LockRequestOptions, callback: (lock: GrantedLock | null) => T): Promise<Awaited<T>>;
  request(name: unknown, optionsOrCallback: unknown, ...rest: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = convertRequest(name, optionsOrCallback, rest);
      checkRequest(request);
      serve(this.#lock(request), request, resolve, reject);
    });
  }

  /**
   * Looks at all locks of the namespace, in every process of this user that sees the same `/dev/shm`. Those with a
   * `posixName` are in no namespace, and each is looked at by itself: `locks.query({ posixName })`. The shape of the
   * result is that of the Web Locks API, https://w3c.github.io/web-locks/#dom-lockmanager-query, with more in it.
   *
   * Looking neither delays a lock nor changes one: no lock is taken, nothing is created and nothing is cleared away.
   * The answer is as of the moment of the call, each lock for itself.
   *
   * @throws {@link SemlockError} rejects with `ERR_SEMLOCK_OPTION`, `ERR_SEMLOCK_NAME`, or when the namespace cannot be read:
   * `ERR_SEMLOCK_UNTRUSTED`, `ERR_SEMLOCK_LAYOUT`, `ERR_SEMLOCK_TABLE_LOST` or `ERR_SEMLOCK_SYSTEM`.
   *
   * @example
   * ```ts
   * const { held, pending } = await locks.query();
   * for (const { name, pid, since } of held) console.log(name, pid, since.toISOString());
   * ```
   */
  query(options: QueryOptions = {}): Promise<LockManagerSnapshot> {
    return new Promise((resolve) => {
      const { namespace, posixName } = parseQueryOptions('locks.query()', options);
      if (posixName === undefined) {
        resolve(snapshot(namespaceId(namespace ?? this.#currentNamespace)));
        return;
      }
      checkPosixName('locks.query()', posixName);
      if (namespace !== undefined) {
        throw optionError('locks.query()', 'namespace', namespace, 'absent with a posixName, which is in none');
      }
      resolve(snapshot(posixNamespaceId(posixName)));
    });
  }

  /** As the Web Locks API calls it. */
  get [Symbol.toStringTag](): string {
    return 'LockManager';
  }

  get #currentNamespace(): string {
    return this.#namespace ?? defaultNamespace();
  }

  #lock({ name, permits }: LockRequest): NamedLock {
    const namespace = this.#currentNamespace;
    if (this.#locks?.namespace !== namespace) this.#locks = { namespace, opened: openedLocks(namespace) };
    return this.#locks.opened.get(`${permits} ${name}`);
  }
}

/** Keyed by permits and name. */
function openedLocks(namespace: string): KeyedLocks<NamedLock> {
  return new KeyedLocks((key) => {
    const [permits] = key.split(' ', 1) as [string];
    const options = { namespace, permits: Number(permits), named: false, allowEmptyName: true };
    return new NamedLock('locks.request()', key.slice(permits.length + 1), options);
  });
}

/** Asks the engine at once, so that requests are in the order of the calls. */
function serve(lock: NamedLock, request: LockRequest, resolve: Resolve, reject: Reject): void {
  const { signal, callback } = request;
  if (signal !== undefined) onAbort(signal, request, reject);
  const waitEnds = (): void => {
    if (signal !== undefined) forgetAbort(signal, request);
  };
  const task = nextTask();
  const grant = acquire(lock, request);

  const call = async (): Promise<void> => {
    const held = await grant;
    await task;
    waitEnds();
    if (signal?.aborted === true) {
      if (held !== null) decline(held);
    } else if (held === null) resolve(promised(() => callback(null)));
    else hold(held, callback, resolve, reject);
  };
  call().catch((error: unknown) => {
    waitEnds();
    reject(error);
  });
}

async function acquire(lock: NamedLock, request: LockRequest): Promise<Held | null> {
  const { mode, ifAvailable, steal, signal, timeoutMs } = request;
  if (ifAvailable) return lock.tryAcquire({ mode });
  if (!steal) return lock.acquireInOrder({ mode, signal, timeoutMs });
  for (;;) {
    const held = lock.steal();
    if (held !== null) return held;
    await sleep(STEAL_AGAIN_MS);
  }
}

type Resolve = (result: unknown) => void;
type Reject = (reason: unknown) => void;

/** Until the callback's result has settled. The request settles after the release, unless the lock was stolen before. */
function hold(held: Held, callback: LockRequest['callback'], resolve: Resolve, reject: Reject): void {
  const signal = signalOf(held);
  if (signal.aborted) reject(signal.reason);
  else onAbort(signal, held, reject);
  const waiting = promised(() => callback(new GrantedLock(held)));
  const done = (): void => {
    held.release(); // rejects the request if it finds the lock stolen
    forgetAbort(signal, held);
    resolve(waiting);
  };
  waiting.then(done, done);
}

/** Where it cannot be watched for a theft, as without a descriptor left, the lock is not kept either. */
function signalOf(held: Held): AbortSignal {
  try {
    return held.signal;
  } catch (error) {
    decline(held);
    throw error;
  }
}

/** What a callback returns, as a promise; one that rejects when it throws. */
function promised(call: () => unknown): Promise<unknown> {
  return new Promise((resolve) => resolve(call()));
}

/**
 * Locks of a namespace by the Web Locks API.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`.
 *
 * @example
 * ```ts
 * const reportLocks = createLocks({ namespace: 'reports' });
 * ```
 */
export function createLocks(options?: LocksOptions): LockManager {
  return makeManager(parseLocksOptions('createLocks()', options).namespace);
}

/** Locks of the default namespace by the Web Locks API: `navigator.locks` of the web platform, for processes. */
export const locks: LockManager = createLocks();
