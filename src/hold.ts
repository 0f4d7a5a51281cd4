// What the holder of a lock has, wherever the lock lives: the right to release it, once.

import { releaseAfter } from './at-least.js';
import { describe, SemlockError } from './errors.js';
import { channels, holdBegins, publish, publishLost, since, type LockSubject } from './observe/channels.js';
import type { Grant, LockMode, StoreLock } from './store.js';
import { now } from './timers.js';

/** The lock of a hold. */
export interface HoldSubject extends LockSubject {
  /** Where it is released. */
  readonly opened: Pick<StoreLock, 'release' | 'onLost' | 'checkTime'>;
}

/** What is told when a hold ends, whichever code releases it. */
export interface HoldKeeper {
  /** It was released; `answer` is the store's. */
  holdEnded(answer: boolean | Promise<boolean>): void;
}

/**
 * A permit of a lock, from the moment it was acquired until it is released or lost. It has no private methods, which would
 * make it slower to create by a twentieth of what a lock costs (Node.js 20).
 */
export class Hold {
  /** How it is held. */
  readonly mode: LockMode;
  /**
   * The fencing token: a safe integer, larger than that of every earlier holder of this lock. A resource that remembers
   * the largest token it has seen can refuse a holder that comes late.
   */
  readonly token: number;
  /** `true` when the previous holder died while it held the lock: its work may be half done. */
  readonly abandoned: boolean;
  /** @internal */
  readonly id: unknown;
  /** @internal */
  keeper: HoldKeeper | undefined = undefined;
  readonly #lock: HoldSubject;
  readonly #beginning = holdBegins();
  #released = false;
  /** What most holds never need. */
  #more: More | undefined;

  /** @internal */
  constructor(lock: HoldSubject, mode: LockMode, grant: Grant) {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- Somebody may call `hold.constructor`.
    if (grant === undefined) throw new TypeError('Illegal constructor: acquire a lock');
    this.mode = mode;
    this.#lock = lock;
    this.token = grant.token;
    this.abandoned = grant.abandoned;
    this.id = grant.id;
    if (channels.lost.hasSubscribers) this.watchQuietly();
  }

  /** All that is held: itself. */
  get holds(): readonly Hold[] {
    return [this];
  }

  /** The lock's name. */
  get name(): string {
    return this.#lock.name;
  }

  /** `true` once this permit was given back. */
  get released(): boolean {
    return this.#released;
  }

  /**
   * Aborts when this permit is lost: when another has stolen the lock, or its store could not keep it. Not when it is
   * released. The reason is a {@link SemlockError} `ERR_SEMLOCK_LOST`. It costs something, so a loss is watched for only
   * once somebody asks for it.
   */
  get signal(): AbortSignal {
    if (!this.#released) {
      this.watch();
      this.checkTime();
    }
    const more = (this.#more ??= {});
    if (more.controller === undefined) {
      more.controller = new AbortController();
      if (more.lost !== undefined) more.controller.abort(more.lost);
    }
    return more.controller.signal;
  }

  /** Why this permit was lost, as far as is known: see {@link signal}. */
  get lost(): SemlockError | undefined {
    this.checkTime();
    return this.#more?.lost;
  }

  /**
   * Gives the permit back, and returns `true`. A later call, or one after the permit was lost, returns `false` and changes
   * nothing. It never waits. The answer of a store on a server is waited for by `await using` and `run()`.
   */
  release(): boolean {
    const answer = this.giveBack();
    return typeof answer === 'boolean' ? answer : true;
  }

  /**
   * As {@link release}, with the store's own answer.
   *
   * @internal
   */
  giveBack(): boolean | Promise<boolean> {
    return !this.#released && this.end(false);
  }

  /**
   * Gives back a lock that came too late to be used: the next holder is told what this one would have been told.
   *
   * @internal
   */
  decline(): void {
    if (!this.#released) void this.end(true);
  }

  /**
   * Finds at once that its time is over, where its store gives it one.
   *
   * @internal
   */
  checkTime(): void {
    const { opened } = this.#lock;
    if (opened.checkTime === undefined || this.#released || this.#more?.lost !== undefined) return;
    this.watch();
    opened.checkTime(this);
  }

  /**
   * How long it has been held, in milliseconds; `undefined` when nobody listened yet when that began.
   *
   * @internal
   */
  get heldMs(): number | undefined {
    return since(this.#beginning);
  }

  /** Releases at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Releases at the end of an `await using` block, and waits for the store's answer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#more?.answer;
  }

  /**
   * Calls `work`, and releases when the result has settled, whatever it is; but not before `atLeastMs` are over.
   *
   * @internal
   */
  async during<T>(work: (hold: Hold) => T | PromiseLike<T>, atLeastMs = 0): Promise<Awaited<T>> {
    const end = atLeastMs === 0 ? 0 : now() + atLeastMs;
    let result: Awaited<T>;
    try {
      result = await work(this);
    } catch (error) {
      await this.settled(end);
      throw error;
    }
    await this.settled(end);
    if (this.lost !== undefined) throw this.lost;
    return result;
  }

  /** As the Web Locks API calls it, https://w3c.github.io/web-locks/#api-lock: its callbacks are given a hold. */
  get [Symbol.toStringTag](): string {
    return 'Lock';
  }

  private settled(end: number): Promise<boolean> | undefined {
    if (end > 0 && end > now()) {
      releaseAfter(this, end - now());
      return undefined;
    }
    this.release();
    return this.#more?.answer;
  }

  private end(unused: boolean): boolean | Promise<boolean> {
    const answer = this.#lock.opened.release(this, unused);
    this.#released = true; // not before: a reentrant lock refuses other contexts than the owner's
    const wasHeld = typeof answer === 'boolean' ? this.ended(answer) : ((this.#more ??= {}).answer = this.ends(answer));
    const { keeper } = this;
    this.keeper = undefined; // a request that outlives its hold keeps nothing else
    keeper?.holdEnded(wasHeld);
    return wasHeld;
  }

  private ended(wasHeld: boolean): boolean {
    if (wasHeld) publish(channels.released, this.#lock, this.mode, this.token, since(this.#beginning));
    else this.lose('another had taken it by the time it was released');
    return wasHeld;
  }

  /** It must not reject: as a rule nobody awaits it. */
  private async ends(answer: Promise<boolean>): Promise<boolean> {
    try {
      return this.ended(await answer);
    } catch (error) {
      const why = error instanceof Error ? error.message : describe(error);
      const warning = `The store did not release the lock "${this.name}": ${why}`;
      process.emitWarning(warning, { type: 'SemlockWarning', code: 'SEMLOCK_RELEASE' });
      return false;
    }
  }

  private watch(): void {
    const more = (this.#more ??= {});
    if (more.watching === true) return;
    this.#lock.opened.onLost(this, (why, cause) => this.lose(why, cause));
    more.watching = true;
  }

  private watchQuietly(): void {
    try {
      this.watch();
    } catch {
      // The system has no descriptor left. The lock is held all the same; a loss is then told at the release.
    }
  }

  private lose(why: string, cause?: unknown): void {
    const more = (this.#more ??= {});
    if (more.lost !== undefined) return;
    const details = { lockName: this.name, cause };
    more.lost = new SemlockError('ERR_SEMLOCK_LOST', `the lock "${this.name}" was lost: ${why}`, details);
    publishLost(this.#lock, this.mode, this.token, since(this.#beginning), more.lost);
    more.controller?.abort(more.lost);
  }
}

interface More {
  watching?: boolean;
  lost?: SemlockError;
  controller?: AbortController;
  /** Of a store that has to be asked, to the release. */
  answer?: Promise<boolean>;
}

/** What {@link Hold} and {@link Holds} have in common. */
export type Held = Pick<
  Hold,
  | 'holds'
  | 'name'
  | 'mode'
  | 'token'
  | 'abandoned'
  | 'released'
  | 'signal'
  | 'lost'
  | 'release'
  | typeof Symbol.dispose
  | typeof Symbol.asyncDispose
>;
