// The line of those who wait for one lock in this thread. Only its head stands in the lock's queue between processes, so
// that processes take turns however many wait in each.

import { BUSY, DELIVERED, native, QUEUED, type Handle, type NativeMode } from '../native.js';
import { countWaiting, listen, unlisten } from './events.js';

/** What a wait asks for, and whom to tell. Exactly one of the two is called, once. */
export interface WaitRequest {
  readonly handle: Handle;
  readonly mode: NativeMode;
  granted(entry: number, token: number, abandoned: boolean): void;
  failed(error: unknown): void;
}

/** When even the queue's latch could not be had, because a process was stopped inside it, this is how soon to retry. */
const RETRY_MS = 5;

/** All lines that are not empty, by namespace and name. */
const queues = new Map<string, WaitQueue>();

/** Whether others wait for that lock in this thread. */
export function isWaitedFor(key: string): boolean {
  return queues.has(key);
}

/** Puts `request` at the end of the line. */
export function enqueue(key: string, request: WaitRequest): void {
  let queue = queues.get(key);
  if (queue === undefined) queues.set(key, (queue = new WaitQueue(key)));
  queue.add(request);
}

/** Takes `request` out of the line and tells it why; too late for one that was granted or has failed. */
export function cancel(key: string, request: WaitRequest, reason: unknown): void {
  queues.get(key)?.cancel(request, reason);
}

class WaitQueue {
  readonly #key: string;
  readonly #requests = new Set<WaitRequest>(); // in order of insertion
  #served: WaitRequest | undefined; // the head, once it has gone to the addon
  #id = 0; // of its wait there
  #retry: NodeJS.Timeout | undefined;

  constructor(key: string) {
    this.#key = key;
  }

  add(request: WaitRequest): void {
    this.#requests.add(request);
    countWaiting(1);
    if (this.#requests.size === 1) this.#serveHead();
  }

  cancel(request: WaitRequest, reason: unknown): void {
    if (!this.#requests.has(request)) return;
    if (request === this.#served) this.#withdraw(request);
    this.#remove(request);
    request.failed(reason);
    // Afterwards, because one signal may cancel thousands, each of which would be the head for a moment.
    if (this.#served === undefined) queueMicrotask(() => this.#serveHead());
  }

  /** Until the head has to wait, or the line is empty. */
  #serveHead(): void {
    if (this.#served !== undefined) return;
    for (const head of this.#requests) {
      const entry = native.lockWait(head.handle, head.mode);
      if (entry === QUEUED || entry === BUSY) {
        this.#served = head;
        if (entry === QUEUED) this.#awaitGrant(head, native.lockResult[0]!);
        else this.#tryLater();
        return;
      }
      this.#remove(head);
      if (entry >= 0) head.granted(entry, native.lockResult[0]!, native.lockResult[1] !== 0);
      else head.failed(lastError());
    }
    if (queues.get(this.#key) === this) queues.delete(this.#key);
  }

  #awaitGrant(head: WaitRequest, id: number): void {
    this.#id = id;
    listen(id, (entry, token, abandoned) => {
      this.#served = undefined;
      this.#remove(head);
      // The next one first: it keeps this process's turn in the queue, whatever the granted one does.
      this.#serveHead();
      head.granted(entry, token, abandoned);
    });
  }

  #tryLater(): void {
    this.#retry = setTimeout(() => {
      this.#served = this.#retry = undefined;
      this.#serveHead();
    }, RETRY_MS);
  }

  /** A grant that is there already, or on its way, is given back. */
  #withdraw(head: WaitRequest): void {
    this.#served = undefined;
    if (this.#retry !== undefined) {
      clearTimeout(this.#retry);
      this.#retry = undefined;
      return;
    }
    const outcome = native.lockCancel(head.handle, this.#id);
    if (outcome === DELIVERED) {
      listen(this.#id, (entry, token) => native.lockRelease(head.handle, entry, token));
      return;
    }
    unlisten(this.#id);
    if (outcome >= 0) native.lockRelease(head.handle, outcome, native.lockResult[0]!);
  }

  #remove(request: WaitRequest): void {
    this.#requests.delete(request);
    countWaiting(-1);
  }
}

function lastError(): unknown {
  try {
    return native.lockError();
  } catch (error) {
    return error;
  }
}
