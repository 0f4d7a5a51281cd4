/**
 * Locks for uploads of tus-node-server that all processes share. When a request wants an upload that another
 * request works on, in whichever process, it asks that one to let go: it steals a second lock, the bell, and the holder of
 * the bell is told so.
 *
 * @module semlock/tus
 */

import { storeOption } from '../default-store.js';
import { integer, optionParser, text } from '../options.js';
import { ownersRules } from '../owners.js';
import { MAX_TIMER_MS } from '../stored-lock.js';
import { clearTimeout, setTimeout } from '../timers.js';
import { createLocks, type LockManager, type LocksOptions } from '../web-locks/lock-manager.js';

/** What a holder is asked with: to let go of the upload as soon as it can. */
export type RequestRelease = () => Promise<void> | void;

/** The lock of one upload, as tus-node-server uses it. */
export interface TusLock {
  /**
   * Resolves when this request has the upload. `requestRelease` is called from then on when another wants it.
   *
   * @throws rejects with an error that tus-node-server answers with status 500, when `signal` aborts or the time is over.
   */
  lock(signal: AbortSignal, requestRelease: RequestRelease): Promise<void>;
  /** @throws rejects when it was not locked. */
  unlock(): Promise<void>;
}

/** What the option `locker` of tus-node-server takes. */
export interface TusLocker {
  newLock(id: string): TusLock;
}

/** Options of {@link tusLocker}. */
export interface TusLockerOptions extends LocksOptions {
  /** How long a request waits for an upload that another request works on, in milliseconds. Default 30 000. */
  acquireTimeoutMs?: number;
}

const parse = optionParser<TusLockerOptions>()({
  namespace: text(),
  ...ownersRules,
  store: storeOption,
  acquireTimeoutMs: integer(0, MAX_TIMER_MS, 30_000),
});

/** How long to wait before ringing again, as a holder may not have heard it, or not have let go: longer each time. */
const RING_AGAIN_MS = 25;
const RING_AGAIN_AT_MOST_MS = 500;

/**
 * A locker for `@tus/server`.
 *
 * @throws `SemlockError` `ERR_SEMLOCK_OPTION`.
 *
 * @example
 * ```ts
 * import { tusLocker } from 'semlock/tus';
 *
 * const options = { path: '/files', locker: tusLocker() }; // for new Server() of @tus/server, with a datastore
 * ```
 */
export function tusLocker(options?: TusLockerOptions): TusLocker {
  const { acquireTimeoutMs, ...where } = parse('tusLocker()', options);
  const locks = createLocks(where);
  return { newLock: (id) => new UploadLock(locks, id, acquireTimeoutMs) };
}

class UploadLock implements TusLock {
  readonly #locks: LockManager;
  readonly #name: string;
  readonly #bell: string;
  readonly #timeoutMs: number;
  #release: (() => void) | undefined;
  #ended: Promise<unknown> | undefined;

  constructor(locks: LockManager, id: string, timeoutMs: number) {
    this.#locks = locks;
    this.#name = `tus upload ${id}`;
    this.#bell = `tus bell ${id}`;
    this.#timeoutMs = timeoutMs;
  }

  async lock(signal: AbortSignal, requestRelease: RequestRelease): Promise<void> {
    let ringing = setTimeout(() => ring(RING_AGAIN_MS), 0);
    const ring = (againMs: number) => {
      this.#locks.request(this.#bell, { steal: true }, () => undefined).catch(() => undefined);
      ringing = setTimeout(ring, againMs, Math.min(2 * againMs, RING_AGAIN_AT_MOST_MS));
    };
    try {
      await this.#acquire(signal);
    } catch (cause) {
      throw new UploadIsBusy(this.#name, cause);
    } finally {
      clearTimeout(ringing);
    }
    this.#hearBell(requestRelease);
  }

  async unlock(): Promise<void> {
    if (this.#release === undefined) throw new Error(`the ${this.#name} is not locked`);
    this.#release();
    this.#release = undefined;
    await this.#ended;
  }

  #acquire(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const held = () =>
        new Promise<void>((release) => {
          this.#release = release;
          this.#ended = ended;
          resolve();
        });
      const ended = this.#locks.request(this.#name, { signal, timeoutMs: this.#timeoutMs }, held).catch(reject);
    });
  }

  /** Holds the bell as long as the upload. Who takes it rings; then it is taken back, to hear the next. */
  #hearBell(requestRelease: RequestRelease): void {
    const upload = this.#ended;
    let isOver = false;
    void upload?.then(() => (isOver = true));
    const hear = () => {
      const hearing = this.#locks.request(this.#bell, { steal: true }, async ({ signal }) => {
        signal.addEventListener('abort', () => {
          if (isOver) return;
          hear();
          // A holder that does not let go keeps the upload: that is its own business.
          Promise.resolve()
            .then(requestRelease)
            .catch(() => undefined);
        });
        await upload;
      });
      hearing.catch(() => undefined); // it was taken
    };
    hear();
  }
}

/** An error with what tus-node-server reads from its own one of this kind, and sends to the client. */
class UploadIsBusy extends Error {
  readonly status_code = 500;
  readonly body = 'failed to acquire lock before timeout';

  constructor(name: string, cause: unknown) {
    super(`the ${name} is in use`, { cause });
  }
}
