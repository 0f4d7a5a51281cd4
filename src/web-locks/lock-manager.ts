// The Web Locks API, https://w3c.github.io/web-locks/, between processes: what is one origin there is one namespace
// here, and its clients are the threads of all processes that use it. Where the specification enqueues steps "on the lock
// task queue", this calls the engine at once, whose latch puts the calls of all processes in order. Callbacks are
// always called in a task of their own, as the specification has it.

import { forgetAbort, onAbort } from '../abort.js';
import { defaultStore, storeOption } from '../default-store.js';
import { SemlockError } from '../errors.js';
import type { Hold } from '../hold.js';
import { KeyedLocks } from '../keyed-locks.js';
import { checkPosixName } from '../names.js';
import { defaultNamespace } from '../namespace.js';
import { publishRequest, requestChannels } from '../observe/channels.js';
import { optionError, optionParser, text } from '../options.js';
import { checkOwners, ownersRules, type LockOwners, type OwnersOptions } from '../owners.js';
import type { LockManagerSnapshot, LockStore } from '../store.js';
import { StoredLock } from '../stored-lock.js';
import { setImmediate } from '../timers.js';
import { checkRequest, convertRequest, type LockRequest, type LockRequestOptions } from './lock-request.js';

/** Options of {@link createLocks}. */
export interface LocksOptions extends OwnersOptions {
  /** Keeps the locks of one app apart from those of others. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
  /** Where the locks live. Default: between all processes of this machine, or what `setDefaultStore()` says. */
  store?: LockStore;
}

/** Options of {@link LockManager.query}. */
export interface QueryOptions extends OwnersOptions {
  /** The namespace to look at. Default: that of the manager. */
  namespace?: string;
  /** The `posixName` of a lock to look at instead: such a lock is in no namespace. */
  posixName?: string;
}

const parseLocksOptions = optionParser<LocksOptions>()({ namespace: text(), ...ownersRules, store: storeOption });
const parseQueryOptions = optionParser<QueryOptions>()({ namespace: text(), posixName: text(), ...ownersRules });

const INTERNAL = Symbol('internal');
let makeManager: (options: ManagerOptions) => LockManager;

interface ManagerOptions extends LockOwners {
  readonly namespace: string | undefined;
  readonly store: LockStore | undefined;
}

/**
 * The Web Locks API of the web platform, between all processes of this user on this machine. {@link locks} is one, and
 * {@link createLocks} makes others.
 *
 * A name means the same lock as in `new Lock(name)` of the same namespace.
 */
export class LockManager {
  readonly #options: ManagerOptions;
  #locks: { namespace: string; opened: KeyedLocks<StoredLock> } | undefined;

  static {
    makeManager = (options) => new LockManager(INTERNAL, options);
  }

  private constructor(internal: typeof INTERNAL, options: ManagerOptions) {
    if (internal !== INTERNAL) throw new TypeError('Illegal constructor: use createLocks()');
    this.#options = options;
  }

  /**
   * Calls `callback` with the lock as soon as it is this request's turn, and holds the lock until what that returns has
   * settled. Requests for a name are served in the order in which all processes made them; consecutive shared ones
   * together. A client is a thread; what it holds and waits for ends with the thread, however that ends.
   *
   * The lock is not reentrant: a callback that waits for its own lock waits forever.
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
  request<T>(name: string, callback: (lock: Hold) => T): Promise<Awaited<T>>;
  request<T>(
    name: string,
    options: LockRequestOptions & { ifAvailable?: false },
    callback: (lock: Hold) => T,
  ): Promise<Awaited<T>>;
  request<T>(name: string, options: LockRequestOptions, callback: (lock: Hold | null) => T): Promise<Awaited<T>>;
  request(name: unknown, optionsOrCallback: unknown, ...rest: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const request = convertRequest(name, optionsOrCallback, rest);
      checkRequest(request);
      const lock = this.#lock(request);
      publishRequest('start', request);
      serve(lock, request, ...observed(request, resolve, reject));
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
      const { namespace, posixName, ...given } = parseQueryOptions('locks.query()', options);
      checkOwners('locks.query()', given);
      const owners = given.user === undefined && given.group === undefined ? ownersOf(this.#options) : given;
      const store = this.#options.store ?? defaultStore();
      if (store.query === undefined) {
        throw new SemlockError('ERR_SEMLOCK_STORE', `the store "${store.name}" cannot say who holds its locks`);
      }
      if (posixName === undefined) {
        resolve(store.query({ namespace: namespace ?? this.#currentNamespace, ...owners }));
        return;
      }
      checkPosixName('locks.query()', posixName);
      if (namespace !== undefined) {
        throw optionError('locks.query()', 'namespace', namespace, 'absent with a posixName, which is in none');
      }
      if (store.can.foreign !== true) {
        throw optionError('locks.query()', 'posixName', posixName, `absent in the store "${store.name}"`);
      }
      resolve(store.query({ posixName, ...owners }));
    });
  }

  /** As the Web Locks API calls it. */
  get [Symbol.toStringTag](): string {
    return 'LockManager';
  }

  get #currentNamespace(): string {
    return this.#options.namespace ?? defaultNamespace();
  }

  #lock({ name, permits }: LockRequest): StoredLock {
    const namespace = this.#currentNamespace;
    if (this.#locks?.namespace !== namespace)
      this.#locks = { namespace, opened: openedLocks({ ...this.#options, namespace }) };
    return this.#locks.opened.get(`${permits} ${name}`);
  }
}

function ownersOf({ user, group }: LockOwners): LockOwners {
  return { user, group };
}

/** Keyed by permits and name. */
function openedLocks(shared: ManagerOptions): KeyedLocks<StoredLock> {
  return new KeyedLocks((key) => {
    const [permits] = key.split(' ', 1) as [string];
    const options = { ...shared, permits: Number(permits), keyed: true, allowEmptyName: true };
    return new StoredLock('locks.request()', key.slice(permits.length + 1), options);
  });
}

/**
 * Asks the store at once, so that requests are in the order of the calls. Callbacks come in the order of the grants: the
 * task of each is made when it is granted.
 */
function serve(lock: StoredLock, request: LockRequest, resolve: Resolve, reject: Reject): void {
  const { signal, callback, mode, steal, ifAvailable, timeoutMs } = request;
  if (signal !== undefined) onAbort(signal, request, reject);
  const fail = (error: unknown): void => {
    if (signal !== undefined) forgetAbort(signal, request);
    reject(error);
  };
  const call = (hold: Hold | null): void => {
    if (signal !== undefined) forgetAbort(signal, request);
    if (signal?.aborted === true) hold?.decline();
    else if (hold === null) {
      publishRequest('miss', request);
      resolve(promised(() => callback(null)));
    } else {
      publishRequest('grant', request);
      keep(hold, callback, resolve, fail);
    }
  };
  try {
    const want = { mode, steal, signal, ownPlace: true, waitMs: ifAvailable ? 0 : timeoutMs };
    lock.request(want, ifAvailable, (hold) => void setImmediate(call, hold), fail);
  } catch (error) {
    fail(error);
  }
}

/** Tells of the end of a request as well, where somebody wants to know. */
function observed(request: LockRequest, resolve: Resolve, reject: Reject): [Resolve, Reject] {
  if (!requestChannels.end.hasSubscribers) return [resolve, reject];
  let over = false;
  const end = (error?: unknown): void => {
    if (!over) publishRequest('end', request, error);
    over = true;
  };
  return [
    (result) => {
      resolve(result);
      Promise.resolve(result).then(() => end(), end);
    },
    (reason) => {
      reject(reason);
      end(reason);
    },
  ];
}

type Resolve = (result: unknown) => void;
type Reject = (reason: unknown) => void;

/** Until the callback's result has settled. The request settles after the release, unless the lock was lost before. */
function keep(hold: Hold, callback: LockRequest['callback'], resolve: Resolve, reject: Reject): void {
  const signal = signalOf(hold, reject);
  if (signal === undefined) return;
  const lost = (): void => reject(new DOMException(hold.lost?.message, { name: 'AbortError', cause: hold.lost }));
  if (signal.aborted) lost();
  else onAbort(signal, hold, lost);
  const waiting = promised(() => callback(hold));
  const done = (): void => {
    const answer = hold.giveBack(); // rejects the request if it finds the lock lost
    const settle = (): void => {
      forgetAbort(signal, hold);
      resolve(waiting);
    };
    if (typeof answer === 'boolean') settle();
    else void answer.then(settle);
  };
  waiting.then(done, done);
}

/** Where it cannot be watched for a loss, as without a descriptor left, the lock is not kept either. */
function signalOf(hold: Hold, reject: Reject): AbortSignal | undefined {
  try {
    return hold.signal;
  } catch (error) {
    hold.decline();
    reject(error);
    return undefined;
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
  const parsed = parseLocksOptions('createLocks()', options);
  checkOwners('createLocks()', parsed);
  return makeManager(parsed);
}

/** Locks of the default namespace by the Web Locks API: `navigator.locks` of the web platform, for processes. */
export const locks: LockManager = createLocks();
