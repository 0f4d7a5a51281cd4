// The line of those who wait for one lock in this process. Only its head has a place in the server's line, so that processes
// take turns however many wait in each, and what waits here costs the server nothing. Requests of the Web Locks API have
// places of their own there, because that API promises the order of all requests, and shows them.

import type { Grant, LockId, Want } from '../../store.js';
import { queueMicrotask } from '../../timers.js';
import { RemoteRequest, type RequestContext } from './request.js';
import { closedStore } from './failure.js';

/** The most places that one process takes in the line of a lock, since a release looks at all places. */
const MOST_PLACES = 64;

/** The lines of a store that are not empty. */
export class Lines {
  readonly #context: RequestContext;
  readonly #lines = new Map<string, Set<RemoteRequest>>(); // in order of insertion
  readonly #later = new Set<string>();

  constructor(context: RequestContext) {
    this.#context = context;
  }

  isWaitedFor(key: string): boolean {
    return this.#lines.has(key);
  }

  add(key: string, lock: LockId, want: Want): Promise<Grant | null> {
    let line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, (line = new Set()));
    const requests = line;
    const request = new RemoteRequest(this.#context, lock, want, () => {
      requests.delete(request);
      if (requests.size === 0) this.#lines.delete(key);
      else this.#takePlacesLater(key);
    });
    requests.add(request);
    const promise = request.promise();
    this.#takePlaces(key);
    return promise;
  }

  close(): void {
    for (const line of [...this.#lines.values()]) {
      for (const request of [...line]) request.fail(closedStore());
    }
  }

  #takePlaces(key: string): void {
    let places = 0;
    for (const request of this.#lines.get(key) ?? []) {
      if (!request.asked) {
        if (places > 0 && !(request.ownPlace && places < MOST_PLACES)) return;
        request.ask();
      }
      places += 1;
    }
  }

  /** When one signal cancels thousands, each of them would be the head for a moment. */
  #takePlacesLater(key: string): void {
    if (this.#later.has(key)) return;
    this.#later.add(key);
    queueMicrotask(() => {
      this.#later.delete(key);
      this.#takePlaces(key);
    });
  }
}
