// The contract between locks and the places where they live. Everything above it (locks, the Web Locks API, the HTTP
// forms, the command) is written once, over any store; a store knows this file and nothing above it.

import type { LockOwners } from './owners.js';

/** How a lock is held: by one alone, or by several readers together. */
export type LockMode = 'exclusive' | 'shared';

/**
 * Which lock: two calls of {@link LockStore.open} with the same namespace and name mean the same one; of the same owners, in
 * stores that have locks of several.
 */
export interface LockId extends LockOwners {
  /** Keeps the locks of one app apart from those of others. */
  readonly namespace: string;
  /** Any string, of UTF-16 code units as they are. Different names are different locks. */
  readonly name: string;
  /** How many can hold it at once. All users of a name give the same number; a store refuses another one. */
  readonly permits: number;
  /**
   * Whether the name was made while the program runs, and so is one of many. The code that opens such a lock calls
   * {@link StoreLock.close} when it is done with it.
   */
  readonly keyed: boolean;
  /**
   * The POSIX name of its semaphore, which other programs use too. It alone says which lock it is, in whatever namespace.
   * Only in stores that can `foreign`.
   */
  readonly posixName?: string | undefined;
}

/** What a store can do. What it cannot is refused with a clear error, as early as it is known. */
export interface StoreAbilities {
  /** Its locks answer at once, without a promise: {@link StoreLock.trySync} and {@link StoreLock.acquireSync}. */
  readonly sync: boolean;
  /** Its locks can be waited for. */
  readonly wait: boolean;
  /** Readers can hold its locks together. */
  readonly share: boolean;
  /** A lock can be taken from its holder. */
  readonly steal: boolean;
  /** A lock can have more than one permit. */
  readonly permits: boolean;
  /** Programs that know nothing of semlock can take part, by a POSIX semaphore. Default `false`. */
  readonly foreign?: boolean;
  /** Its locks can be those of another user, or of a group. Default `false`. */
  readonly owners?: boolean;
}

/** What a look is at: a namespace; or the lock of a semaphore, in stores that can `foreign`. */
export type QueryTarget = LockOwners &
  (
    | {
        /** The namespace. */
        readonly namespace: string;
      }
    | {
        /** The POSIX name of the semaphore. */
        readonly posixName: string;
      }
  );

/** A place where locks live: this machine, the memory of one thread, a server. */
export interface LockStore {
  /** Names it in messages, as `process` or `memory`. */
  readonly name: string;
  /** What it can do. */
  readonly can: StoreAbilities;
  /** The lock of that identity. Nothing is asked of the system yet, and nothing acquired. */
  open(id: LockId): StoreLock;
  /** The holders and the waiters in all processes: of a namespace; or of a semaphore, in stores that can `foreign`. */
  query?(where: QueryTarget): Promise<LockManagerSnapshot>;
  /** Ends the use of the store: what this process holds is released, and what waits is rejected. */
  close?(): Promise<void>;
}

/** A store that has something to close, such as connections. */
export interface ClosableStore extends LockStore {
  close(): Promise<void>;
}

/** How a lock is asked for. */
export interface Want {
  /** How it is to be held. */
  readonly mode: LockMode;
  /** How long to wait at most, in milliseconds; 0 is a try, absent is as long as it takes. */
  readonly waitMs?: number | undefined;
  /** Ends the wait when it aborts. It has not aborted yet. */
  readonly signal?: AbortSignal | undefined;
  /** Takes it from all who hold it, and before all who wait. Exclusive, and without `waitMs` and `signal`. */
  readonly steal?: boolean;
  /**
   * The request has a place of its own in the line of all processes, and is seen by `query`. Otherwise the requests of
   * one process may share a place, so that processes take turns.
   */
  readonly ownPlace?: boolean;
}

/**
 * One lock, as its store has it.
 *
 * - **Exclusion.** No two grants that exclude each other are valid at the same time, in all processes. A grant is valid
 *   until its release is called or its loss is told, whatever comes first. The exception is a thief, which does not wait
 *   until the robbed holder has been told.
 * - **Order.** Requests are served in the order in which they came. A shared request does not pass an exclusive one that
 *   waits, and no try passes a waiter: while there is one, a try finds the lock busy. A store may pass over a request whose
 *   thread cannot run when its turn comes; the request keeps its place.
 * - **Tokens** grow with every grant of a lock, in the order of the grants.
 * - **Aborts.** When the signal aborts, the promise rejects with the signal's reason; or it gives the grant, if that was
 *   there first. A grant that comes when the promise has been rejected is given back by the store, as unused.
 * - **Leaving the line.** A request that gives up, by time or signal, is answered at once. In a store that has to tell a
 *   server, its place in line is gone a moment later, and tries may find the lock busy until then; the requests behind it are
 *   served.
 * - **Errors** are of the class `SemlockError`. Whatever fails, fails closed: without a grant nobody has the lock.
 */
export interface StoreLock {
  /**
   * Takes the lock if it is free. The quick way, of stores that can `sync`: it asks no server, never waits, calls nothing
   * back, and finds the lock busy rather than pass a waiter.
   */
  trySync?(mode: LockMode): Grant | null;
  /** Blocks this thread until it has the lock; `null` when `waitMs` is over. Of stores that can `sync`. */
  acquireSync?(mode: LockMode, waitMs: number | undefined): Grant | null;
  /**
   * Takes the lock when it is this request's turn; `null` when `waitMs` is over. Requests are in the order of these calls,
   * so the place in line is taken before this returns, not in a later turn of the event loop.
   */
  acquire(want: Want): Promise<Grant | null>;
  /**
   * Gives the permit back; called once at most. From this call on the lock is not held, even if the answer takes its time.
   * `true`: it was held until now. `false`: it had been lost before. A promise does not reject: a store that cannot
   * reach its server sees to it that the permit comes free, and answers when it has done what it can.
   *
   * @param unused - no work was done under it, so the next holder is told what this one was: see {@link Grant.abandoned}.
   */
  release(grant: Grant, unused: boolean): boolean | Promise<boolean>;
  /**
   * Asks to be told when this grant is lost without a release; called once at most. `tell` is called once at most, also
   * at once, and before anybody else has the lock where the store can do that; never after {@link release} was called.
   *
   * @param tell - told why, as the end of a sentence: "another has stolen it".
   */
  onLost(grant: Grant, tell: (why: string, cause?: unknown) => void): void;
  /**
   * Looks whether the time of this grant is over, and tells so before it returns, if {@link onLost} was asked. Asks nobody.
   * Of stores whose grants have a time: after a process was stopped, the timer that tells of its end comes late.
   */
  checkTime?(grant: Grant): void;
  /**
   * A new descriptor for a program to inherit: as long as it has that open, what this process holds stays held, also when
   * the process was killed. Its taker closes it. Of stores on this machine.
   */
  proofOfLife?(): number;
  /** How many permits are free at this moment. Of stores that can `sync`. */
  available?(): number;
  /** Frees what it keeps open. What is held or waited for stays so, and the lock can be used again. */
  close?(): void;
}

/** A permit that was granted. It is read at once, so {@link StoreLock.trySync} may give one object again and again. */
export interface Grant {
  /** A safe integer, larger than that of every earlier grant of this lock. */
  readonly token: number;
  /** `true` when the previous holder died while it held the lock. */
  readonly abandoned: boolean;
  /** The store's own; it comes back with {@link token} in {@link StoreLock.release} and {@link StoreLock.onLost}. */
  readonly id: unknown;
}

/** What a lock that is held and a request that waits have in common. */
export interface LockInfo {
  /** The lock's name; of a lock with a `posixName` it is that. */
  readonly name: string;
  /** How it is held, or asked for. */
  readonly mode: LockMode;
  /** The thread that holds it or waits: the same in all that it holds and waits for, and no other's while it lives. */
  readonly clientId: string;
  /** The process of that thread, as that process sees its own id: in another pid namespace it has another. */
  readonly pid: number;
  /** When it was acquired, or when the wait for it began; exact to some 10 ms. */
  readonly since: Date;
}

/** A permit of a lock that is held. A semaphore has one for each of its holders. */
export interface HeldLockInfo extends LockInfo {
  /** The fencing token, as {@link Hold.token}. */
  readonly token: number;
  /** `false` when the holder died while it held the lock: the lock is free, and shown until somebody asks for it. */
  readonly alive: boolean;
}

/** Permits of a lock with a `posixName` that are not there although no process of semlock has them. */
export interface LockGap {
  /** Its `posixName`. */
  readonly name: string;
  /** How many permits it has in all. */
  readonly permits: number;
  /**
   * How many are missing: another program has them, or died with them. Where it died, posting the semaphore that
   * often gives them back.
   */
  readonly missing: number;
}

/** What {@link LockManager.query} finds. */
export interface LockManagerSnapshot {
  /** All permits that are held in the namespace, those that were acquired first before others. */
  readonly held: readonly HeldLockInfo[];
  /**
   * The requests that wait, those of one lock in the order in which they will be served. Of the waits that a thread has
   * begun with {@link Lock.acquire} or its like, the first one for each lock is shown: the others stand in line behind
   * it in that thread. Of requests of the Web Locks API all are shown, up to 64 of each thread for each lock.
   */
  readonly pending: readonly LockInfo[];
  /** The lock with a `posixName`, if that was looked at and misses permits. */
  readonly gaps: readonly LockGap[];
}
