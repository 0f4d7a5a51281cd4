// The lock that does not reach beyond its process, so that the difference can be seen and tested.

import { Hold, type HoldSubject } from '../hold.js';
import { checkLockName } from '../names.js';
import { addon, EAGAIN, failureOf, type Handle } from '../native.js';
import type { Grant } from '../store.js';

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
  readonly #subject: HoldSubject;
  #handle: Handle | undefined;

  /** @throws {@link SemlockError} `ERR_SEMLOCK_NAME` unless `name` is a non-empty string. */
  constructor(name: string) {
    checkLockName('new ThreadLock()', name);
    this.name = name;
    const opened = {
      release: ({ id }: Grant) => addon().threadPost(id as Handle) === 0,
      onLost: () => undefined, // nobody can steal it
      lock: this, // keeps the handle alive
    };
    this.#subject = { name, namespace: '', quiet: true, opened };
  }

  /** Takes the lock if it is free, and returns at once: `null` when a thread of this process holds it. */
  tryAcquire(): Hold | null {
    const handle = (this.#handle ??= open(this, this.name));
    const token = addon().threadTryWait(handle);
    if (token > 0) return new Hold(this.#subject, 'exclusive', { id: handle, token, abandoned: false });
    if (token === -EAGAIN) return null;
    throw failureOf(-token, 'sem_trywait', this.name);
  }
}

function open(owner: ThreadLock, name: string): Handle {
  const handle = addon().threadOpen(name);
  forgotten.register(owner, handle);
  return handle;
}

/** Frees the native handle of a lock that nobody refers to any more. */
const forgotten = new FinalizationRegistry<Handle>((handle) => addon().threadClose(handle));
