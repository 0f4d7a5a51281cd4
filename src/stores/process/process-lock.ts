// A lock of this machine: a handle of the addon, and what is granted through it. The engine behind it is described in
// native/README.md.

import { forgetAbort, onAbort } from '../../abort.js';
import { digest, namespaceId, posixNamespaceId } from '../../names.js';
import {
  addon,
  attempt,
  BUSY,
  EDEADLK,
  failureOf,
  lastAbandoned,
  lastToken,
  release,
  tryAcquire,
  type Handle,
} from '../../native.js';
import { ownersKey } from '../../owners.js';
import type { Grant, LockId, LockMode, StoreLock, Want } from '../../store.js';
import { clearTimeout, now, setTimeout } from '../../timers.js';
import { label } from './namespaces.js';
import { KINDS, numbered } from './owners.js';
import { cancel, enqueue, isWaitedFor, listen, subscribe, unlisten, type WaitRequest } from './waits.js';

const NATIVE_MODE = { exclusive: 0, shared: 1 } as const;

/** How soon to try again to steal a lock while a process is stopped that is just changing it. */
const STEAL_AGAIN_MS = 5;

export class ProcessLock implements StoreLock {
  readonly id: LockId;
  readonly #key: string;
  /** Whether the owner calls {@link close}. To leave that to the garbage collector costs a lock that is used once half of its time. */
  #closesByHand: boolean;
  #handle: Handle | undefined;
  /** By the tokens of the grants that watch for theft. */
  #watches: Map<number, Watch> | undefined;

  constructor(id: LockId) {
    this.id = id;
    const key = id.posixName === undefined ? `${id.namespace}\0${id.name}` : `\0${id.posixName}`;
    const owners = ownersKey(id);
    this.#key = owners === '' ? key : `${owners}\0${key}`;
    this.#closesByHand = id.keyed;
  }

  /** What the addon has for it, opened when it is first needed. It must not be kept: see {@link close}. */
  get handle(): Handle {
    return this.#handle ?? this.#open();
  }

  /** What tells this lock from all others in this thread. */
  get key(): string {
    return this.#key;
  }

  trySync(mode: LockMode): Grant | null {
    if (isWaitedFor(this.#key)) return null;
    return this.try(mode);
  }

  acquireSync(mode: LockMode, waitMs: number | undefined): Grant | null {
    const grant = this.try(mode);
    if (grant !== null || waitMs === 0) return grant;
    if (waitMs === undefined && isWaitedFor(this.#key)) throw failureOf(EDEADLK, 'acquire', this.id.name, 'DEADLOCK');
    return this.grantOrNull(addon().lockAcquireSync(this.handle, NATIVE_MODE[mode], waitMs ?? -1));
  }

  acquire(want: Want): Promise<Grant | null> {
    return new Promise((resolve, reject) => {
      if (want.steal === true) {
        this.#steal(resolve, reject);
        return;
      }
      if (want.waitMs === 0) resolve(copyOf(this.trySync(want.mode)));
      else this.#wait(want, resolve, reject); // which finds out whether it is free
    });
  }

  release({ id, token, abandoned }: Grant, unused: boolean): boolean {
    if (this.#watches !== undefined) this.#stopWatching(token);
    const { handle } = this;
    if (!unused || !abandoned) return release(handle, id as number, token);
    addon().lockDecline(handle, id as number, token, true);
    return true;
  }

  onLost({ id, token }: Grant, tell: (why: string) => void): void {
    subscribe();
    const watch = addon().lockWatch(this.handle, id as number, token);
    if (watch < 0) attempt(this.id.name, () => addon().lockError());
    const stolen = (): void => {
      this.#stopWatching(token);
      tell('another has stolen it');
    };
    listen(watch, stolen);
    (this.#watches ??= new Map<number, Watch>()).set(token, { id: watch, stolen });
    const others = watching.get(this.#key);
    if (others === undefined) watching.set(this.#key, new Set([stolen]));
    else others.add(stolen);
  }

  proofOfLife(): number {
    const descriptor = addon().lockProofOfLife(this.handle);
    if (descriptor < 0) throw failureOf(-descriptor, 'fcntl', this.id.name);
    return descriptor;
  }

  available(): number {
    return attempt(this.id.name, () => addon().lockAvailable(this.handle));
  }

  /**
   * Only where the owner closes by hand. While this thread holds the lock or waits for it, it is left to the garbage
   * collector after all. Code that still has this object can go on using it.
   */
  close(): void {
    const handle = this.#handle;
    if (!this.#closesByHand) return;
    this.#closesByHand = false;
    if (handle === undefined) return;
    if (!isWaitedFor(this.#key) && addon().lockClose(handle)) this.#handle = undefined;
    else forgotten.register(this, handle);
  }

  private try(mode: LockMode): Grant | null {
    const { handle } = this; // first: it loads the addon, and with it the call
    return this.grantOrNull(tryAcquire(handle, NATIVE_MODE[mode]));
  }

  #wait({ mode, waitMs, signal, ownPlace = false }: Want, resolve: Resolve, reject: Reject): void {
    const key = this.#key;
    const done = (): void => {
      clearTimeout(timer);
      if (signal !== undefined) forgetAbort(signal, request);
    };
    const request: WaitRequest = {
      lock: this,
      mode: NATIVE_MODE[mode],
      deadline: waitMs === undefined ? Infinity : now() + waitMs,
      ownPlace,
      granted: (entry, token, abandoned) => {
        done();
        resolve({ id: entry, token, abandoned });
      },
      failed: (error) => {
        done();
        if (error === TIME_IS_OVER) resolve(null);
        else reject(error);
      },
    };
    const timer = waitMs === undefined ? undefined : setTimeout(() => cancel(key, request, TIME_IS_OVER), waitMs);
    if (signal !== undefined) onAbort(signal, request, (reason) => cancel(key, request, reason));
    enqueue(key, request);
  }

  /** The holders that are robbed in this thread are told before the thief has the lock. */
  #steal(resolve: Resolve, reject: Reject): void {
    try {
      const robbed = [...(watching.get(this.#key) ?? [])];
      const grant = this.grantOrNull(addon().lockSteal(this.handle));
      if (grant === null) {
        setTimeout(() => this.#steal(resolve, reject), STEAL_AGAIN_MS);
        return;
      }
      const mine = copyOf(grant); // before anybody is told, who may take another lock
      for (const stolen of robbed) stolen();
      resolve(mine);
    } catch (error) {
      reject(error);
    }
  }

  private grantOrNull(entry: number): Grant | null {
    if (entry >= 0) {
      granted.id = entry;
      granted.token = lastToken();
      granted.abandoned = lastAbandoned();
      return granted;
    }
    if (entry === BUSY) return null;
    return attempt(this.id.name, () => addon().lockError());
  }

  #stopWatching(token: number): void {
    const watch = this.#watches?.get(token);
    if (watch === undefined) return;
    this.#watches?.delete(token);
    addon().lockUnwatch(this.handle, watch.id);
    unlisten(watch.id);
    const all = watching.get(this.#key);
    if (all?.delete(watch.stolen) === true && all.size === 0) watching.delete(this.#key);
  }

  #open(): Handle {
    const { namespace, name, permits, keyed, posixName } = this.id;
    const native = addon();
    const named = !keyed; // one of many names gets no semaphore of its own in the file system
    const owners = numbered(this.id);
    const [space, key] =
      posixName === undefined
        ? [namespaceId(namespace, owners), name]
        : [posixNamespaceId(posixName, owners), posixName];
    const kind = KINDS[owners?.kind ?? 'own'];
    const id = owners?.id ?? 0;
    const handle = attempt(name, () =>
      native.lockOpen(space, digest(key), key, permits, named, posixName ?? '', label(this.id), kind, id),
    );
    if (!this.#closesByHand) forgotten.register(this, handle);
    this.#handle = handle;
    return handle;
  }
}

type Resolve = (grant: Grant | null) => void;
type Reject = (error: unknown) => void;

/** Stands for the end of `waitMs` among the reasons for which a wait fails. */
const TIME_IS_OVER = Symbol('time is over');

/** Frees the native handle of a lock that nobody refers to any more, and that therefore nobody holds. */
const forgotten = new FinalizationRegistry<Handle>((handle) => addon().lockClose(handle));

/** Those to be told of a theft by this thread, by the keys of the locks. */
const watching = new Map<string, Set<() => void>>();

interface Watch {
  readonly id: number;
  readonly stolen: () => void;
}

/** What a try gives, the same object each time: it is read at once, and to make one would be a tenth of the whole. */
const granted = { id: 0, token: 0, abandoned: false };

/** For a promise, which is not read at once. */
function copyOf(grant: Grant | null): Grant | null {
  return grant && { ...grant };
}
