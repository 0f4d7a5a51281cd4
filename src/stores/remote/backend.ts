// What a server has to do, so that locks can live on it. Everything else (the line of those who wait in this process, the
// renewal, the local deadline, what becomes of answers that came too late) is common to all servers, and written once
// beside this file.
//
// A process has one session for each namespace that it uses. What it holds and waits for hangs on that, so that one renewal
// keeps it all. A session ends in one of three ways: it is ended, it expires by the server's clock, or the server loses its
// data. It never comes back.
//
// Rules for every operation:
//
// - It is atomic at the server, and goes by the server's clock.
// - It may be executed twice, and late: clients resend what they had no answer to, and a server still reads what a dead
//   connection has sent. A session numbers its requests upwards, so the server knows the numbers up to the largest one that
//   it has seen: whatever comes again finds what became of it, and never a new permit ({@link Answer} `over`).
// - It rejects with whatever the client says; this folder turns that into `ERR_SEMLOCK_STORE`.

import type { LockId, LockManagerSnapshot, LockMode, StoreAbilities } from '../../store.js';

/** A session of this process, or of another on this host. */
export interface SessionId {
  readonly namespace: string;
  /** `<pid>-<thread>-<random>`: nobody else's, ever. The first two are what {@link Backend.query} shows. */
  readonly sid: string;
}

/** What is asked of a lock. */
export interface Ask {
  readonly lock: LockId;
  /** The number of the request: larger than all earlier ones of the session. The same one again asks what became of it. */
  readonly request: number;
  readonly mode: LockMode;
  /** Takes a place in line where the lock is not free. */
  readonly wait: boolean;
  /** Takes the lock from its holders, ahead of all waiters. */
  readonly steal: boolean;
}

/** What became of a request. */
export type Answer =
  | {
      readonly is: 'granted';
      /** `max(last + 1, the server's time in µs)`, where `last` is the last one of the namespace. */
      readonly token: number;
      readonly abandoned: boolean;
    }
  /** It is not free, and the request does not wait. */
  | { readonly is: 'busy' }
  | {
      readonly is: 'queued';
      /**
       * When it may come free by itself, in milliseconds from now: when the session of a holder expires, or
       * a quarantine ends. Then the request is made again. A `notice` may come before.
       */
      readonly againMs: number;
    }
  /** Others use the lock with that number of permits. */
  | { readonly is: 'mismatch'; readonly permits: number }
  /** There is no such session (any more). Nothing was done. */
  | { readonly is: 'expired' }
  /** This number was seen before, and what it asked for is over; or a larger one came before it. Nothing was done. */
  | { readonly is: 'over' };

/** A permit as the server knows it. */
export interface Holding {
  readonly name: string;
  readonly request: number;
  readonly token: number;
}

/** What a renewal learns. */
export type Renewal =
  /** It expired, was ended, or the server has lost it. It is not brought back. */
  | { readonly alive: false }
  | {
      readonly alive: true;
      /**
       * How many permits the session has by the server's account. Where that is not what this process thinks, it asks for
       * {@link Backend.holdings}. To be known without looking at every lock.
       */
      readonly held: number;
      /** The tokens of permits that were stolen since they were last {@link Backend.renew | acknowledged}. */
      readonly stolen: readonly number[];
      /** Changes whenever the server may have gone back to an earlier state: it was restarted, or failed over. */
      readonly incarnation: string;
    };

/** What a server tells a session unasked. May be lost: everything is found by asking, too. */
export type Notice =
  /** A request that stood in line has the lock. */
  | {
      readonly is: 'granted';
      readonly request: number;
      readonly token: number;
      readonly abandoned: boolean;
    }
  | { readonly is: 'stolen'; readonly token: number }
  /** Something has changed: ask for all that waits, and renew. The only one that a server has to have. */
  | { readonly is: 'look' };

/** One server, seen from this thread. Connects when it is first needed. */
export interface Backend {
  /** Names the store in messages: `redis`. */
  readonly name: string;
  readonly can: StoreAbilities;
  /** Tells servers apart for the processes of one machine, as far as it can. */
  readonly place?: string;
  /** Where the renewal in a worker thread is not possible, this is absent, and the main thread does it. */
  readonly worker?: WorkerConnection | undefined;

  /**
   * Whether the server itself has refused, so that there is no point in asking again; `false` when it could not be asked.
   * Without it, requests that stand in line ask again, and others fail.
   */
  isRefusal?(error: unknown): boolean;

  /**
   * Makes a session, with an expiry by the server's clock. Made again it is as {@link renew}.
   *
   * @param suspect - sessions that should be alive have gone: the server lost its data. For `leaseMs` nothing is granted in
   * the namespace (a quarantine), because holders that do not know yet may still count on what they have. The server
   * itself does the same when it finds that it was restarted, or otherwise went back in time, since the sessions of others
   * were made.
   */
  begin(session: SessionId, leaseMs: number, suspect: boolean): Promise<void>;
  /**
   * Moves the expiry of a session that has not expired.
   *
   * @param acknowledged - those of the last {@link Renewal.stolen} that this process knows of now, so that they can be
   * forgotten.
   */
  renew(session: SessionId, leaseMs: number, acknowledged: readonly number[]): Promise<Renewal>;
  /**
   * Ends a session: what it holds comes free, what it waits for leaves the line, and those behind are served.
   *
   * @param died - its process is known to have died, so that its permits are abandoned. Otherwise they are released.
   * @returns whether there was such a session.
   */
  end(session: SessionId, died: boolean): Promise<boolean>;

  /** Asks for a permit, or what became of that. Removes what the dead had, and serves those who wait, before it looks. */
  acquire(session: SessionId, ask: Ask): Promise<Answer>;
  /**
   * Gives up a request: it leaves the line, or what it was granted is given back as unused. One that comes later, with the
   * same number, is over.
   */
  cancel(session: SessionId, lock: LockId, request: number): Promise<void>;
  /**
   * Gives a permit back, and serves the next waiter.
   *
   * @param unused - the next holder is told that the lock was abandoned, if this one was told so.
   * @returns whether the session had it until now. Also when the same call released it before; not when it was stolen, or
   * the session is gone.
   */
  release(session: SessionId, lock: LockId, permit: Holding, unused: boolean): Promise<boolean>;
  /**
   * For a server whose {@link Renewal} tells how many permits it has granted, without those that were stolen or given up,
   * so that a release has less to write: how many of these the session still has.
   */
  heldOf?(session: SessionId, granted: number): number;
  /** All permits that the session has; may look at every lock. */
  holdings(session: SessionId): Promise<readonly Holding[]>;
  /** The holders and the waiters, in all processes. */
  query(namespace: string): Promise<LockManagerSnapshot>;

  /** Has the notices of a session told from now on, until the function that it gives is called. */
  listen(session: SessionId, tell: (notice: Notice) => void): Promise<() => void>;
  /** Closes what it opened. All sessions have been ended. */
  close(): Promise<void>;
}

/** How a worker thread reaches the server by a connection of its own. */
export interface WorkerConnection {
  /**
   * The source of a function `(options, require) => { renew(session, leaseMs, acknowledged): Promise<Renewal>, close() }`,
   * as {@link ConnectBySource} describes it. The thread evaluates it, because a file of its own would be lost when the app is
   * bundled: so it may use nothing but its arguments and what Node.js has.
   */
  readonly source: string;
  /** Passed to it; can be cloned. */
  readonly options: unknown;
}

/** The type of the function in {@link WorkerConnection.source}. It connects, and connects again, by itself. */
export type ConnectBySource = (options: never, require: NodeJS.Require) => Pick<Backend, 'renew' | 'close'>;
