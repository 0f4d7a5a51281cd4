// The lock that does not reach beyond its process, so that the difference can be seen and tested.

import { checkLockName } from '../names.js';
import { EAGAIN, failureOf, native, type Handle } from '../native.js';
import { HeldOnce, type Held } from './held.js';

/**
 * A lock of this process alone: an unnamed semaphore, `sem_init(…, 0, 1)`, in its memory. It is what `threading.Lock`
 * is to Python. All threads of the process, worker threads too, share it by name; another process that asks for the
 * same name gets a lock of its own, so cluster workers do **not** exclude each other with it. Use {@link Lock} for that.
 *
 * A worker thread that ends releases what it holds.
 */
export class ThreadLock {
  /** The name as it was given. */
  readonly name: string;
  #handle: Handle | undefined;

  /** @throws {@link SemlockError} `ERR_SEMLOCK_NAME` unless `name` is a non-empty string. */
  constructor(name: string) {
    checkLockName('new ThreadLock()', name);
    this.name = name;
  }

  /** Takes the lock if it is free, and returns at once: `null` when a thread of this process holds it. */
  tryAcquire(): Held | null {
    const handle = (this.#handle ??= open(this, this.name));
    const token = native.threadTryWait(handle);
    if (token > 0) return new ThreadHeld(this, handle, token);
    if (token === -EAGAIN) return null;
    throw failureOf(-token, 'sem_trywait', this.name);
  }
}

class ThreadHeld extends HeldOnce {
  readonly mode = 'exclusive';
  readonly token: number;
  readonly abandoned = false;
  readonly #lock: ThreadLock; // keeps the handle alive
  readonly #handle: Handle;
  #signal: AbortSignal | undefined;
  #released = false;

  constructor(lock: ThreadLock, handle: Handle, token: number) {
    super();
    this.token = token;
    this.#lock = lock;
    this.#handle = handle;
  }

  get name(): string {
    return this.#lock.name;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Never aborts: nobody can steal it. */
  get signal(): AbortSignal {
    return (this.#signal ??= new AbortController().signal);
  }

  protected giveBack(): boolean {
    this.#released = true;
    return native.threadPost(this.#handle) === 0;
  }
}

function open(owner: ThreadLock, name: string): Handle {
  const handle = native.threadOpen(name);
  forgotten.register(owner, handle);
  return handle;
}

/** Frees the native handle of a lock that nobody refers to any more. */
const forgotten = new FinalizationRegistry<Handle>((handle) => native.threadClose(handle));
