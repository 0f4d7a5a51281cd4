// Processes of this machine that use the same server. Each holds a lock of this machine for its session. When it dies, the
// lock table knows for certain, so a process that survives ends that session at the server, and no waiter has to wait until
// the session expires. Where there is no engine (another platform, no /dev/shm), it expires.

import type { StoreLock } from '../../store.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import { processStore } from '../process/process-store.js';
import type { Backend, SessionId } from './backend.js';

/** How often to look for the dead while somebody waits here, and while nobody does. */
const [WAITING_MS, IDLE_MS] = [25, 500];

/** One namespace. */
interface Neighbourhood {
  readonly waiting: Set<object>;
  sessions: number;
  timer?: NodeJS.Timeout | undefined;
  looking?: Promise<boolean> | undefined;
}

export class Neighbours {
  readonly #backend: Backend;
  readonly #namespaces = new Map<string, Neighbourhood>();
  #isPossible = true;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Tells the others of a session, until the function that it gives is called. */
  join(session: SessionId): () => void {
    const lock = this.#lockOf(session);
    const grant = this.#try(() => lock.trySync!('exclusive'));
    if (grant === null) return () => undefined;
    const mine = { ...grant };
    const here = this.#of(session.namespace);
    here.sessions += 1;
    this.#lookIn(session.namespace, IDLE_MS);
    return () => {
      here.sessions -= 1;
      this.#try(() => void lock.release(mine, false));
      lock.close?.();
      if (here.sessions > 0) return;
      clearTimeout(here.timer);
      this.#namespaces.delete(session.namespace);
    };
  }

  /** Looks often as long as `who` waits. */
  watch(namespace: string, who: object): void {
    const here = this.#namespaces.get(namespace);
    if (here === undefined) return;
    const isFirst = here.waiting.size === 0;
    here.waiting.add(who);
    if (isFirst) this.#lookIn(namespace, 0);
  }

  unwatch(namespace: string, who: object): void {
    this.#namespaces.get(namespace)?.waiting.delete(who);
  }

  /** Ends the sessions of processes that have died; whether there were any. Does not reject. */
  endTheDead(namespace: string): Promise<boolean> {
    const here = this.#namespaces.get(namespace);
    if (here === undefined) return Promise.resolve(false);
    return (here.looking ??= this.#end(namespace).finally(() => (here.looking = undefined)));
  }

  async #end(namespace: string): Promise<boolean> {
    const where = { namespace: this.#table(namespace) };
    const found = await processStore.query!(where).catch(() => undefined);
    const dead = found?.held.filter(({ alive }) => !alive) ?? [];
    let ended = false;
    for (const { name: sid } of dead) {
      const session = { namespace, sid };
      try {
        ended = (await this.#backend.end(session, true)) || ended;
      } catch {
        continue; // the next look finds it again
      }
      const lock = this.#lockOf(session);
      const grant = this.#try(() => lock.trySync!('exclusive'));
      if (grant !== null) void lock.release({ ...grant }, false);
      lock.close?.();
    }
    return ended;
  }

  #lookIn(namespace: string, ms: number): void {
    const here = this.#of(namespace);
    clearTimeout(here.timer);
    here.timer = setTimeout(() => {
      void this.endTheDead(namespace).then(() => {
        if (here.sessions > 0) this.#lookIn(namespace, here.waiting.size > 0 ? WAITING_MS : IDLE_MS);
      });
    }, ms).unref();
  }

  #of(namespace: string): Neighbourhood {
    let here = this.#namespaces.get(namespace);
    if (here === undefined) this.#namespaces.set(namespace, (here = { waiting: new Set(), sessions: 0 }));
    return here;
  }

  #table(namespace: string): string {
    const { name, place = '' } = this.#backend;
    return `semlock sessions\0${name}\0${place}\0${namespace}`;
  }

  #lockOf({ namespace, sid }: SessionId): StoreLock {
    return processStore.open({ namespace: this.#table(namespace), name: sid, permits: 1, keyed: true });
  }

  /** What is not possible once is not tried again. */
  #try<T>(act: () => T): T | null {
    if (!this.#isPossible) return null;
    try {
      return act();
    } catch {
      this.#isPossible = false;
      return null;
    }
  }
}
