// The sessions of this process: one for each namespace, made when it is first needed, and anew when it is over.

import { atMost } from './at-most.js';
import { closedStore } from './failure.js';
import { CLOSE_MS, Session, type SessionOptions } from './session.js';

export class Sessions {
  readonly #options: Omit<SessionOptions, 'ended'>;
  readonly #current = new Map<string, Session>();
  readonly #beginning = new Map<string, Promise<Session>>();
  /** Namespaces in which the server did not know a session any more: see {@link Backend.begin}. */
  readonly #suspect = new Set<string>();
  #closed = false;

  constructor(options: Omit<SessionOptions, 'ended'>) {
    this.#options = options;
  }

  /** The one of that namespace, if there is one that can be counted on. */
  current(namespace: string): Session | undefined {
    const session = this.#current.get(namespace);
    return session === undefined || session.isOver ? undefined : session;
  }

  get all(): Session[] {
    return [...this.#current.values()].filter(({ isOver }) => !isOver);
  }

  /** Rejects with whatever the client says. */
  async get(namespace: string): Promise<Session> {
    for (;;) {
      if (this.#closed) throw closedStore();
      const current = this.current(namespace);
      if (current !== undefined) return current;
      let beginning = this.#beginning.get(namespace);
      if (beginning === undefined) {
        beginning = this.#begin(namespace).finally(() => this.#beginning.delete(namespace));
        this.#beginning.set(namespace, beginning);
      }
      await beginning; // and look whether it still is one
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await atMost(CLOSE_MS, Promise.allSettled(this.#beginning.values()));
    await Promise.all([...this.#current.values()].map((session) => session.close()));
  }

  async #begin(namespace: string): Promise<Session> {
    const suspect = this.#suspect.has(namespace);
    const session = await Session.begin(namespace, suspect, {
      ...this.#options,
      ended: (ended, isSuspect) => {
        if (this.#current.get(namespace) === ended) this.#current.delete(namespace);
        if (isSuspect) this.#suspect.add(namespace);
      },
    });
    if (this.#closed) await session.close(); // it is over at once where close() did not wait for it any more
    this.#suspect.delete(namespace);
    this.#current.set(namespace, session);
    return session;
  }
}
