// A session of this process in one namespace: what it holds and waits for, and until when it can count on that.
//
// It counts on it until its deadline, on the monotonic clock: the time that its last renewal gave it, counted from before
// that was sent. The server counts from when it arrived, which is later, so this process knows of its loss before anybody
// else gets in. A session that is over stays so; what comes after has a new one.

import { randomBytes } from 'node:crypto';
import { threadId } from 'node:worker_threads';

import type { LockId } from '../../store.js';
import { clearTimeout, now, setTimeout } from '../../timers.js';
import { atMost } from './at-most.js';
import type { Backend, Notice, Renewal, SessionId } from './backend.js';
import type { Neighbours } from './neighbours.js';
import type { Renewals } from './renewal.js';
import type { LoopReport } from './renewal-loop.js';

/** A permit that this process has. */
export interface RemotePermit {
  readonly session: Session;
  readonly lock: LockId;
  readonly request: number;
  readonly token: number;
  readonly abandoned: boolean;
  lost?: Loss;
  tell?: ((why: string, cause?: unknown) => void) | undefined;
  limit?: NodeJS.Timeout | undefined;
  /** In ns of the monotonic clock. */
  limitAt?: bigint;
}

interface Loss {
  readonly why: string;
  readonly cause?: unknown;
}

/** A request that has a number in a session. */
export interface Numbered {
  granted(session: Session, token: number, abandoned: boolean): void;
  /** Something may have changed for it: it asks again. */
  look(): void;
}

export interface SessionOptions {
  readonly backend: Backend;
  readonly renewals: Renewals;
  readonly neighbours: Neighbours;
  readonly leaseMs: number;
  readonly maxHoldMs: number | undefined;
  /** Called once, when it is over. `suspect`: the server does not know it although its time is not over. */
  readonly ended: (session: Session, suspect: boolean) => void;
}

/** How long before its deadline a session is over: for timers that are late, and clocks that go at different speeds. */
const marginOf = (leaseMs: number): number => leaseMs / 10;

/** How soon what has to be done at the server is tried again. */
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [50, 2_000];

/** How long a close waits for the server, which may not answer any more. */
export const CLOSE_MS = 3_000;

export class Session {
  readonly id: SessionId;
  readonly permits = new Map<number, RemotePermit>(); // by token
  readonly #requests = new Map<number, Numbered>();
  readonly #options: SessionOptions;
  /**
   * In ns of the monotonic clock: the deadline, which the thread that renews moves; and when the oldest hold reaches its limit,
   * 0 for never, which this one sets.
   */
  readonly #times = new BigInt64Array(new SharedArrayBuffer(16));
  #last = 0;
  #over = false;
  #check: NodeJS.Timeout | undefined;
  #failure: unknown;
  #incarnation: string | undefined;
  #suspicious = false;
  #unlisten: (() => void) | undefined;
  #leave: (() => void) | undefined;

  private constructor(namespace: string, options: SessionOptions) {
    this.#options = options;
    const random = randomBytes(12).toString('base64url');
    this.id = { namespace, sid: `${process.pid}-${threadId}-${random}` };
  }

  /** Rejects with whatever the client says. */
  static async begin(namespace: string, suspect: boolean, options: SessionOptions): Promise<Session> {
    const { backend, renewals, neighbours, leaseMs } = options;
    const session = new Session(namespace, options);
    const sent = process.hrtime.bigint();
    await backend.begin(session.id, leaseMs, suspect);
    Atomics.store(session.#times, 0, sent + BigInt(Math.round(leaseMs * 1e6)));
    try {
      session.#unlisten = await backend.listen(session.id, (notice) => session.#noticed(notice));
    } catch (error) {
      void backend.end(session.id, false).catch(() => undefined);
      throw error;
    }
    session.#leave = neighbours.join(session.id);
    session.#watch();
    renewals.keep({
      session: session.id,
      leaseMs,
      times: session.#times,
      report: (report) => session.#reported(report),
    });
    return session;
  }

  /** Whether it can be counted on no more. When its time has just run out, whoever holds something is told now. */
  get isOver(): boolean {
    this.checkTime();
    return this.#over;
  }

  checkTime(): void {
    if (!this.#over && this.#msLeft() <= 0) this.#tooLate();
  }

  /** A number for a request, larger than all before. */
  register(request: Numbered): number {
    this.#last += 1;
    this.#requests.set(this.#last, request);
    return this.#last;
  }

  unregister(number: number): void {
    this.#requests.delete(number);
  }

  /** Takes down a permit that the server has granted; not one of a session that is over. */
  add(lock: LockId, request: number, token: number, abandoned: boolean): RemotePermit {
    this.#requests.delete(request);
    const permit: RemotePermit = { session: this, lock, request, token, abandoned };
    this.permits.set(token, permit);
    const { maxHoldMs } = this.#options;
    if (maxHoldMs !== undefined) {
      permit.limit = setTimeout(() => this.#overLimit(permit, maxHoldMs), maxHoldMs).unref();
      permit.limitAt = process.hrtime.bigint() + BigInt(Math.round(maxHoldMs * 1e6));
      this.#showLimit();
    }
    return permit;
  }

  /** What {@link StoreLock.release} promises. */
  release(permit: RemotePermit, unused: boolean): boolean | Promise<boolean> {
    if (this.isOver || permit.lost !== undefined) return false; // and it has been told why
    permit.tell = undefined;
    this.#remove(permit);
    return this.#giveBack(permit, unused);
  }

  /** Gives up a request, whatever became of it. */
  cancel(lock: LockId, request: number): void {
    this.#requests.delete(request);
    void this.#untilDone(() => this.#options.backend.cancel(this.id, lock, request));
  }

  /** Those of that lock have lost it to this process itself, which tells them before it has it. */
  rob(lock: LockId): void {
    for (const permit of [...this.permits.values()]) if (permit.lock.name === lock.name) this.#stolen(permit);
  }

  /**
   * It is over: what it had is lost, and what waits asks again, in another session.
   *
   * @param suspect - see {@link SessionOptions.ended}.
   */
  end(why: string, cause: unknown, suspect: boolean): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#check);
    this.#unlisten?.();
    this.#options.renewals.forget(this.id.sid);
    // Told first, then the others get in at once.
    for (const permit of [...this.permits.values()]) this.#lose(permit, { why, cause });
    void this.#options.backend.end(this.id, false).catch(() => undefined);
    this.#leave?.();
    const waiting = [...this.#requests.values()];
    this.#requests.clear();
    this.#options.ended(this, suspect);
    for (const request of waiting) request.look();
  }

  /** The server says that there is no such session. */
  unknown(): void {
    this.end('its session is not known to the server any more', this.#failure, this.#msLeft() > 0);
  }

  /**
   * The app's client has had no answer since then. After a lease the session ends: the client may be closed for good, while the
   * thread that renews still reaches the server.
   */
  unanswered(since: number, error: unknown): void {
    if (now() - since < this.#options.leaseMs) return;
    this.end('its client has had no answer for as long as its lease', error, false);
  }

  /** Gives back all that it has, as far as the server answers soon, and ends. */
  async close(): Promise<void> {
    if (this.#over) return;
    const permits = [...this.permits.values()];
    for (const permit of permits) this.#lose(permit, { why: 'the store was closed' });
    const released = Promise.all(
      permits.map((permit) => this.#options.backend.release(this.id, permit.lock, holdingOf(permit), false)),
    ).then(() => this.#options.backend.end(this.id, false));
    await atMost(CLOSE_MS, released); // otherwise it expires
    this.end('the store was closed', undefined, false);
  }

  /** Milliseconds in which it can be counted on. */
  #msLeft(): number {
    return Number(Atomics.load(this.#times, 0) - process.hrtime.bigint()) / 1e6 - marginOf(this.#options.leaseMs);
  }

  #watch(): void {
    const { leaseMs } = this.#options;
    const left = this.#msLeft();
    if (left <= 0) {
      this.#tooLate();
      return;
    }
    this.#check = setTimeout(() => this.#watch(), Math.min(left, leaseMs / 3)).unref();
  }

  #tooLate(): void {
    this.end('its session could not be renewed in time', this.#failure, false);
  }

  #overLimit(permit: RemotePermit, maxHoldMs: number): void {
    if (this.#over || permit.lost !== undefined || !this.permits.has(permit.token)) return;
    this.#lose(permit, { why: `it was held for longer than ${maxHoldMs} ms, its maxHoldMs` });
    void this.#giveBack(permit, false);
  }

  #giveBack(permit: RemotePermit, unused: boolean): Promise<boolean> {
    const { backend } = this.#options;
    return this.#untilDone(() => backend.release(this.id, permit.lock, holdingOf(permit), unused));
  }

  /** Until it is done, or the session is over: then nothing of it is left at the server. Does not reject. */
  async #untilDone<T>(act: () => Promise<T>): Promise<T | true> {
    let since: number | undefined;
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      try {
        return await act();
      } catch (error) {
        this.#failure = error;
        since = this.#options.backend.isRefusal?.(error) === true ? undefined : (since ?? now());
        if (since !== undefined) this.unanswered(since, error);
        if (this.isOver) return true;
        await new Promise<void>((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  #noticed(notice: Notice): void {
    if (this.isOver) return;
    if (notice.is === 'granted') this.#requests.get(notice.request)?.granted(this, notice.token, notice.abandoned);
    else if (notice.is === 'stolen') {
      const permit = this.permits.get(notice.token);
      if (permit !== undefined) this.#stolen(permit);
    } else {
      this.#options.renewals.renewNow(this.id.sid);
      for (const request of [...this.#requests.values()]) request.look();
    }
  }

  #reported({ renewal, failed }: LoopReport): void {
    if (failed !== undefined) this.#failure = failed;
    if (renewal === undefined || this.isOver) return;
    if (!renewal.alive) {
      this.unknown();
      return;
    }
    this.#failure = undefined;
    for (const token of renewal.stolen) {
      const permit = this.permits.get(token);
      if (permit !== undefined) this.#stolen(permit);
    }
    if (renewal.stolen.length > 0) this.#options.renewals.acknowledge(this.id.sid, renewal.stolen);
    this.#compare(renewal);
  }

  /** Answers under way make a difference now and then; one that stays, or a server that has gone back in time, is looked into. */
  #compare({ held, incarnation }: Renewal & { alive: true }): void {
    const restarted = this.#incarnation !== undefined && this.#incarnation !== incarnation;
    this.#incarnation = incarnation;
    const { backend } = this.#options;
    const differs = (backend.heldOf?.(this.id, held) ?? held) !== this.permits.size;
    const look = restarted || (differs && this.#suspicious);
    this.#suspicious = differs && !look;
    if (look)
      void this.#reconcile().catch(() => (this.#suspicious = true)); // the next renewal leads here again
    else if (differs) setTimeout(() => this.#options.renewals.renewNow(this.id.sid), FIRST_RETRY_MS).unref();
  }

  async #reconcile(): Promise<void> {
    const before = [...this.permits.values()];
    const numbers = this.#last;
    const holdings = await this.#options.backend.holdings(this.id);
    if (this.isOver) return;
    const known = new Set(holdings.map(({ token }) => token));
    for (const permit of before) {
      if (known.has(permit.token) || !this.permits.has(permit.token)) continue;
      this.#lose(permit, { why: 'the server does not know of it any more' });
    }
    for (const holding of holdings) {
      if (this.permits.has(holding.token) || holding.request > numbers) continue;
      const waiting = this.#requests.get(holding.request);
      if (waiting !== undefined) waiting.look();
      else {
        const { namespace } = this.id;
        const lock = { namespace, name: holding.name, permits: 1, keyed: false };
        void this.#untilDone(() => this.#options.backend.release(this.id, lock, holding, true));
      }
    }
  }

  #stolen(permit: RemotePermit): void {
    this.#lose(permit, { why: 'another has stolen it' });
  }

  #lose(permit: RemotePermit, loss: Loss): void {
    if (permit.lost !== undefined) return;
    permit.lost = loss;
    this.#remove(permit);
    const { tell } = permit;
    permit.tell = undefined;
    tell?.(loss.why, loss.cause);
  }

  #remove(permit: RemotePermit): void {
    this.permits.delete(permit.token);
    if (permit.limit === undefined) return;
    clearTimeout(permit.limit);
    this.#showLimit();
  }

  /** The thread that renews does not go on for a hold that is over its limit: then this one is stuck, and ends it too late. */
  #showLimit(): void {
    const [oldest] = this.permits.values();
    Atomics.store(this.#times, 1, oldest?.limitAt ?? 0n);
  }
}

function holdingOf({ lock, request, token }: RemotePermit) {
  return { name: lock.name, request, token };
}
