// The line of those who wait for one lock in this thread. As a rule only its head stands in the lock's queue between
// processes, so that processes take turns however many wait in each. Requests of the Web Locks API stand there
// themselves, because that API promises the order of all requests, and shows them.

import {
  addon,
  attempt,
  BUSY,
  DELIVERED,
  FIELDS_PER_EVENT,
  lastAbandoned,
  lastToken,
  QUEUED,
  type Handle,
  type NativeAddon,
  type NativeMode,
} from '../../native.js';
import { now, queueMicrotask, setTimeout } from '../../timers.js';

/** What a wait asks for, and whom to tell. Exactly one of the two is called, once. */
export interface WaitRequest {
  readonly lock: { readonly id: { readonly name: string }; readonly handle: Handle };
  readonly mode: NativeMode;
  /** When it is going to be cancelled because its time is over, by `now()`; `Infinity`: never. */
  readonly deadline: number;
  /** Stands in the queue between processes by itself, not only when it is the head of its thread. */
  readonly ownPlace: boolean;
  granted(entry: number, token: number, abandoned: boolean): void;
  failed(error: unknown): void;
}

/** The most places that one thread takes in the queue of a lock, since a process that hands the lock on looks at all places. */
export const MOST_PLACES = 64;

/** When even the queue's latch could not be taken, because a process was stopped inside it, this is how soon to try again. */
const RETRY_MS = 5;
/** So long a turn of the event loop goes on retrying, and until so many lines were in vain: they may be thousands. */
const RETRYING_MS = 1;
const RETRIES_IN_VAIN = 8;

/** All lines that are not empty, by namespace and name. */
const queues = new Map<string, WaitQueue>();

/** The lines that could not even get a place; the one that is to retry next comes first. */
const retrying = new Set<WaitQueue>();
let retryTimer: NodeJS.Timeout | undefined;

function retryLater(queue: WaitQueue): void {
  retrying.add(queue);
  retryTimer ??= setTimeout(retrySome, RETRY_MS);
}

function retrySome(): void {
  retryTimer = undefined;
  const end = now() + RETRYING_MS;
  let inVain = 0;
  let left = retrying.size;
  for (const queue of retrying) {
    if (left-- === 0 || inVain === RETRIES_IN_VAIN || now() >= end) break;
    retrying.delete(queue);
    queue.takePlaces();
    if (retrying.has(queue)) inVain++;
  }
  if (retrying.size > 0) retryTimer ??= setTimeout(retrySome, RETRY_MS);
}

/** Whether others wait for that lock in this thread. */
export function isWaitedFor(key: string): boolean {
  return queues.size > 0 && (queues.get(key)?.hasRequests ?? false);
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
  readonly #places = new Map<WaitRequest, number>(); // the first of them, with the ids of their waits in the addon
  #later = false;

  constructor(key: string) {
    this.#key = key;
  }

  get hasRequests(): boolean {
    return this.#requests.size > 0;
  }

  add(request: WaitRequest): void {
    this.#requests.add(request);
    countWaiting(1);
    if (this.#mayTakePlace(request)) this.takePlaces();
  }

  cancel(request: WaitRequest, reason: unknown): void {
    if (!this.#requests.has(request)) return;
    const id = this.#places.get(request);
    this.#remove(request);
    if (id !== undefined) withdraw(request, id);
    request.failed(reason);
    this.#takePlacesLater();
  }

  #mayTakePlace(request: WaitRequest): boolean {
    return this.#places.size === 0 || (request.ownPlace && this.#places.size < MOST_PLACES);
  }

  /** For all at the front of the line that may have one. */
  takePlaces(): void {
    if (retrying.has(this)) return;
    for (const next of this.#requests) {
      if (this.#places.has(next)) continue;
      if (!this.#mayTakePlace(next)) return;
      const entry = addon().lockWait(next.lock.handle, next.mode, timeLeft(next));
      if (entry === BUSY) {
        retryLater(this);
        return;
      }
      if (entry === QUEUED) {
        this.#awaitGrant(next, lastToken());
      } else {
        this.#remove(next);
        if (entry >= 0) next.granted(entry, lastToken(), lastAbandoned());
        else next.failed(lastError(next));
      }
    }
    if (this.#requests.size === 0 && queues.get(this.#key) === this) queues.delete(this.#key);
  }

  /** When one signal cancels thousands, each of them would be the head for a moment. */
  #takePlacesLater(): void {
    if (this.#later) return;
    this.#later = true;
    queueMicrotask(() => {
      this.#later = false;
      this.takePlaces();
    });
  }

  #awaitGrant(request: WaitRequest, id: number): void {
    this.#places.set(request, id);
    listen(id, (entry, token, abandoned) => {
      this.#remove(request);
      request.granted(entry, token, abandoned);
      // Not before: a permit that is free for the next one would be told of first.
      this.takePlaces();
    });
  }

  #remove(request: WaitRequest): void {
    this.#requests.delete(request);
    this.#places.delete(request);
    countWaiting(-1);
  }
}

/** A grant that is there already, or on its way, is given back. */
function withdraw(request: WaitRequest, id: number): void {
  unlisten(id);
  if (addon().lockCancel(request.lock.handle, id) !== DELIVERED) return;
  listen(id, (entry, token, abandoned) => addon().lockDecline(request.lock.handle, entry, token, abandoned));
}

/** In whole milliseconds; -1: as long as it takes. */
function timeLeft({ deadline }: WaitRequest): number {
  return deadline === Infinity ? -1 : Math.max(0, Math.ceil(deadline - now()));
}

function lastError({ lock }: WaitRequest): unknown {
  try {
    return attempt(lock.id.name, () => addon().lockError());
  } catch (error) {
    return error;
  }
}

// What the addon tells this thread: grants of its waits, and thefts of permits that it watches. They come in batches,
// through an inbox that the event loop polls (native/core/inbox.h).

/** Called once, with what became of a wait or a watched permit: {@link STOLEN}, or the entry that was granted. */
type EventListener = (entry: number, token: number, abandoned: boolean) => void;

/**
 * What a thread has once: on the addon, because this module may be there several times, as after `jest.resetModules()`
 * or in two bundles. Whichever of them waits first listens for all.
 */
interface ThreadState {
  readonly listeners: Map<number, EventListener>;
  waiting: number;
}

const STATE = Symbol.for('semlock.waits');

function state(): ThreadState {
  const native = addon() as NativeAddon & { [STATE]?: ThreadState };
  return (native[STATE] ??= { listeners: subscribeTo(native), waiting: 0 });
}

function subscribeTo({ lockEvents, lockOnEvents }: NativeAddon): Map<number, EventListener> {
  const listeners = new Map<number, EventListener>();
  lockOnEvents((count) => {
    // A copy, where a listener that runs the event loop itself could have the next events written over the rest.
    const events = count === 1 ? lockEvents : lockEvents.slice(0, count * FIELDS_PER_EVENT);
    for (let at = 0; at < count * FIELDS_PER_EVENT; at += FIELDS_PER_EVENT) {
      const id = events[at]!;
      const listener = listeners.get(id);
      listeners.delete(id);
      listener?.(events[at + 1]!, events[at + 2]!, events[at + 3] !== 0);
    }
  });
  return listeners;
}

/** To be called before the addon is asked to wait or to watch. */
export function subscribe(): void {
  state();
}

/** Has `listener` called with the event of that id. */
export function listen(id: number, listener: EventListener): void {
  state().listeners.set(id, listener);
}

/** For an event that will not come any more. */
export function unlisten(id: number): void {
  state().listeners.delete(id);
}

/** Somebody waits (+1), or does not any more (-1). As long as there is one, the event loop is kept running. */
function countWaiting(change: 1 | -1): void {
  const thread = state();
  const before = thread.waiting;
  thread.waiting += change;
  if ((before === 0) !== (thread.waiting === 0)) addon().lockKeepAlive(thread.waiting > 0);
}
