// One request for a lock on a server: asked under a number of the session, asked again under the same number whenever it
// may have been served, and under a new one where the session is over or the server has forgotten it. Its caller is answered
// once; a grant that comes too late for it is given back.

import { forgetAbort, onAbort } from '../../abort.js';
import { SemlockError } from '../../errors.js';
import type { Grant, LockId, Want } from '../../store.js';
import { clearTimeout, now, setTimeout } from '../../timers.js';
import type { Answer, Backend } from './backend.js';
import { storeFailure } from './failure.js';
import type { Neighbours } from './neighbours.js';
import type { Numbered, RemotePermit, Session } from './session.js';
import type { Sessions } from './sessions.js';

/** What is asked for anew at least so often, because a message that it was served may be lost. */
const SLOW_POLL_MS = 2_000;

/** How soon to ask again when the connection ended before the answer. */
const RETRY_MS = 50;

/** What all requests of a store need. */
export interface RequestContext {
  readonly backend: Backend;
  readonly sessions: Sessions;
  readonly neighbours: Neighbours;
}

export class RemoteRequest implements Numbered {
  readonly ownPlace: boolean;
  /** Whether it has been asked for at the server. */
  asked = false;
  readonly #context: RequestContext;
  readonly #lock: LockId;
  readonly #want: Want;
  readonly #waits: boolean;
  readonly #settled: () => void;
  #resolve: (grant: Grant | null) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  #session: Session | undefined;
  #number = 0;
  #isSettled = false;
  #isQueued = false;
  #isAsking = false;
  #askAgain = false;
  #unansweredSince: number | undefined;
  #poll: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param settled - called when its caller was answered. */
  constructor(context: RequestContext, lock: LockId, want: Want, settled: () => void) {
    this.#context = context;
    this.#lock = lock;
    this.#want = want;
    this.#waits = want.waitMs !== 0 && want.steal !== true;
    this.ownPlace = want.ownPlace ?? false;
    this.#settled = settled;
  }

  /** Begins to wait for the caller's time and signal; asks for nothing yet. */
  promise(): Promise<Grant | null> {
    const { waitMs, signal } = this.#want;
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#waits && waitMs !== undefined) {
        this.#timer = setTimeout(() => this.#giveUp(() => resolve(null)), waitMs);
      }
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- As the signal gives it.
      if (signal !== undefined) onAbort(signal, this, (reason) => this.#giveUp(() => reject(reason)));
    });
  }

  ask(): void {
    this.asked = true;
    if (this.#isAsking) this.#askAgain = true;
    else void this.#ask();
  }

  look(): void {
    if (!this.#isSettled) this.ask();
  }

  fail(error: SemlockError): void {
    this.#giveUp(() => this.#reject(error));
  }

  granted(session: Session, token: number, abandoned: boolean): void {
    if (this.#isSettled || session !== this.#session) return;
    if (session.isOver) return; // and so it asks again
    if (this.#want.steal === true) session.rob(this.#lock);
    const permit: RemotePermit = session.add(this.#lock, this.#number, token, abandoned);
    this.#settle(() => this.#resolve({ token, abandoned, id: permit }));
  }

  /** Does not reject. */
  async #ask(): Promise<void> {
    this.#isAsking = true;
    clearTimeout(this.#poll);
    try {
      do {
        this.#askAgain = false;
        while (!(await this.#askOnce()));
      } while (this.#isToAskAgain());
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#isAsking = false;
    }
  }

  /** By a method, because it changes while something is awaited. */
  #isDone(): boolean {
    return this.#isSettled;
  }

  #isToAskAgain(): boolean {
    return this.#askAgain && !this.#isSettled;
  }

  /** Whether there is no reason to ask at once again. */
  async #askOnce(): Promise<boolean> {
    const { backend, sessions, neighbours } = this.#context;
    const { namespace } = this.#lock;
    const session = sessions.current(namespace) ?? (await sessions.get(namespace));
    if (this.#isDone()) return true;
    if (session !== this.#session) this.#register(session);
    const { mode, steal = false } = this.#want;
    const ask = { lock: this.#lock, request: this.#number, mode, wait: this.#waits, steal };
    const answer = await backend.acquire(session.id, ask);
    if (this.#isDone()) return true; // it was cancelled at the server
    if (session.isOver) return false;
    if (answer.is === 'expired') {
      session.unknown();
      return false;
    }
    if (answer.is === 'over') {
      this.#register(session);
      return false;
    }
    if (answer.is === 'busy' && (await neighbours.endTheDead(namespace))) {
      if (this.#isDone()) return true;
      this.#register(session);
      return false;
    }
    this.#answered(session, answer);
    return true;
  }

  #answered(session: Session, answer: Exclude<Answer, { is: 'expired' | 'over' }>): void {
    if (this.#isSettled) return;
    this.#unansweredSince = undefined;
    if (answer.is === 'granted') this.granted(session, answer.token, answer.abandoned);
    else if (answer.is === 'busy') {
      session.unregister(this.#number);
      this.#settle(() => this.#resolve(null));
    } else if (answer.is === 'mismatch') {
      session.unregister(this.#number);
      const message = `others use the lock "${this.#lock.name}" with ${answer.permits} permits, and not with ${this.#lock.permits}`;
      const error = new SemlockError('ERR_SEMLOCK_MISMATCH', message, { lockName: this.#lock.name });
      this.#settle(() => this.#reject(error));
    } else {
      this.#isQueued = true;
      this.#pollIn(answer.againMs < 0 ? SLOW_POLL_MS : Math.min(answer.againMs, SLOW_POLL_MS));
    }
  }

  #failed(error: unknown): void {
    if (this.#isSettled) return;
    // As long as the session lasts it may have been served, or keeps its place in line; it is asked for by the same number.
    if (this.#session?.isOver === false && !this.#isRefusal(error)) {
      this.#session.unanswered((this.#unansweredSince ??= now()), error);
      this.#pollIn(this.#isQueued && !this.#askAgain ? SLOW_POLL_MS : RETRY_MS);
    } else {
      const { name } = this.#lock;
      this.fail(storeFailure(this.#context.backend.name, `give the lock "${name}"`, error, name));
    }
  }

  #isRefusal(error: unknown): boolean {
    return this.#context.backend.isRefusal?.(error) ?? !this.#isQueued;
  }

  #register(session: Session): void {
    this.#session?.unregister(this.#number);
    this.#session = session;
    this.#number = session.register(this);
    this.#isQueued = false;
  }

  #pollIn(ms: number): void {
    this.#context.neighbours.watch(this.#lock.namespace, this);
    this.#poll = setTimeout(() => this.ask(), ms);
  }

  #giveUp(settle: () => void): void {
    if (this.#isSettled) return;
    const session = this.#session;
    this.#settle(settle);
    if (session?.isOver === false) session.cancel(this.#lock, this.#number);
  }

  #settle(settle: () => void): void {
    this.#isSettled = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#poll);
    this.#context.neighbours.unwatch(this.#lock.namespace, this);
    const { signal } = this.#want;
    if (signal !== undefined) forgetAbort(signal, this);
    settle();
    this.#settled();
  }
}
