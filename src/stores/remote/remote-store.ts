// Locks on a server, whatever it is: see backend.ts for what that has to do, and session.ts for what keeps them.

import type { ClosableStore, Grant, LockId, LockManagerSnapshot, StoreLock, Want } from '../../store.js';
import type { Backend } from './backend.js';
import { closedStore, storeFailure } from './failure.js';
import { Lines } from './line.js';
import { Neighbours } from './neighbours.js';
import { Renewals } from './renewal.js';
import { RemoteRequest, type RequestContext } from './request.js';
import type { RemotePermit } from './session.js';
import { Sessions } from './sessions.js';

export interface RemoteStoreOptions {
  readonly leaseMs: number;
  readonly maxHoldMs: number | undefined;
}

/** Makes the store of a backend, which it closes with itself. */
export function remoteStore(backend: Backend, { leaseMs, maxHoldMs }: RemoteStoreOptions): ClosableStore {
  const renewals = new Renewals(backend);
  const neighbours = new Neighbours(backend);
  const sessions = new Sessions({ backend, renewals, neighbours, leaseMs, maxHoldMs });
  const context: RequestContext = { backend, sessions, neighbours };
  const lines = new Lines(context);
  let closing: Promise<void> | undefined;

  const query = async (where: { namespace: string } | { posixName: string }): Promise<LockManagerSnapshot> => {
    if (!('namespace' in where)) return { held: [], pending: [], gaps: [] };
    try {
      return await backend.query(where.namespace);
    } catch (error) {
      throw storeFailure(backend.name, 'say who holds what', error);
    }
  };
  const close = async (): Promise<void> => {
    lines.close();
    await sessions.close();
    await renewals.close();
    await backend.close();
  };
  return {
    name: backend.name,
    can: backend.can,
    open: (id) => new RemoteLock(context, lines, id, () => closing !== undefined),
    query,
    close: () => (closing ??= close()),
  };
}

class RemoteLock implements StoreLock {
  readonly #context: RequestContext;
  readonly #lines: Lines;
  readonly #id: LockId;
  readonly #key: string;
  readonly #isClosed: () => boolean;

  constructor(context: RequestContext, lines: Lines, id: LockId, isClosed: () => boolean) {
    this.#context = context;
    this.#lines = lines;
    this.#id = id;
    this.#key = `${id.namespace}\0${id.name}`;
    this.#isClosed = isClosed;
  }

  acquire(want: Want): Promise<Grant | null> {
    if (this.#isClosed()) return Promise.reject(closedStore(this.#id.name));
    if (want.steal !== true && want.waitMs !== 0) return this.#lines.add(this.#key, this.#id, want);
    if (want.steal !== true && this.#lines.isWaitedFor(this.#key)) return Promise.resolve(null);
    const request = new RemoteRequest(this.#context, this.#id, want, () => undefined);
    const promise = request.promise();
    request.ask();
    return promise;
  }

  release({ id }: Grant, unused: boolean): boolean | Promise<boolean> {
    const permit = id as RemotePermit;
    return permit.session.release(permit, unused);
  }

  onLost({ id }: Grant, tell: (why: string, cause?: unknown) => void): void {
    const permit = id as RemotePermit;
    if (permit.lost === undefined) permit.tell = tell;
    else tell(permit.lost.why, permit.lost.cause);
  }

  checkTime({ id }: Grant): void {
    (id as RemotePermit).session.checkTime();
  }
}
