// Locks in the memory of one thread, by the same rules as those of this machine: for tests, and for platforms on which
// there is no engine. They need nothing but JavaScript, and no other thread or process knows of them.

import { threadId } from 'node:worker_threads';

import { forgetAbort, onAbort } from '../../abort.js';
import { SemlockError } from '../../errors.js';
import type { ClosableStore, Grant, LockId, LockMode, StoreLock, Want } from '../../store.js';
import { clearTimeout, setTimeout } from '../../timers.js';

/**
 * Makes a store whose locks live in the memory of this thread. Two stores have nothing in common, so share one object:
 * pass it as the option `store`, or once to `setDefaultStore()`.
 */
export function memoryStore(): ClosableStore {
  const records = new Map<string, MemoryRecord>();
  return {
    name: 'memory',
    can: { sync: true, wait: true, share: true, steal: true, permits: true },
    open: (id) => new MemoryLock(records, id),
    query: (where) => {
      const ours = [...records.values()].filter(({ id }) => 'namespace' in where && id.namespace === where.namespace);
      const held = ours.flatMap(({ holders }) => [...holders].map(({ info }) => ({ ...info, alive: true })));
      held.sort((a, b) => a.token - b.token);
      return Promise.resolve({
        held,
        pending: ours.flatMap(({ queue }) => [...queue].map(({ info }) => info)),
        gaps: [],
      });
    },
    close: () => {
      for (const record of [...records.values()]) record.close();
      return Promise.resolve();
    },
  };
}

/** The last token that any store of this thread gave. They start from the time, as those of other stores do. */
let lastToken = 0;

class MemoryLock implements StoreLock {
  readonly #records: Map<string, MemoryRecord>;
  readonly #id: LockId;
  readonly #key: string;

  constructor(records: Map<string, MemoryRecord>, id: LockId) {
    this.#records = records;
    this.#id = id;
    this.#key = `${id.namespace}\0${id.name}`;
  }

  trySync(mode: LockMode): Grant | null {
    return this.#record().tryGrant(mode);
  }

  /** Only this thread could release the lock, so a wait without a limit would never end. */
  acquireSync(mode: LockMode, waitMs: number | undefined): Grant | null {
    const grant = this.trySync(mode);
    if (grant !== null || waitMs === 0) return grant;
    if (waitMs === undefined) {
      const message = `a wait for the lock "${this.#id.name}" would never end: it is in the memory of the thread that waits`;
      throw new SemlockError('ERR_SEMLOCK_DEADLOCK', message, { lockName: this.#id.name });
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs);
    return null;
  }

  acquire(want: Want): Promise<Grant | null> {
    return new Promise((resolve, reject) => {
      const record = this.#record();
      if (want.steal === true) resolve(record.steal());
      else {
        const grant = record.tryGrant(want.mode);
        if (grant !== null || want.waitMs === 0) resolve(grant);
        else record.wait(want, resolve, reject);
      }
    });
  }

  release({ id }: Grant): boolean {
    return (id as MemoryGrant).release();
  }

  onLost({ id }: Grant, tell: (why: string) => void): void {
    (id as MemoryGrant).onLost(tell);
  }

  available(): number {
    return this.#record().available;
  }

  /** There is a record as long as the lock is held or waited for. */
  #record(): MemoryRecord {
    const known = this.#records.get(this.#key);
    if (known === undefined) {
      return new MemoryRecord(
        this.#id,
        (record) => this.#records.set(this.#key, record),
        () => this.#records.delete(this.#key),
      );
    }
    const { permits } = known.id;
    if (permits === this.#id.permits) return known;
    const message = `others use the lock "${this.#id.name}" with ${permits} permits, and not with ${this.#id.permits}`;
    throw new SemlockError('ERR_SEMLOCK_MISMATCH', message, { lockName: this.#id.name });
  }
}

interface Waiter {
  readonly mode: LockMode;
  readonly info: Info;
  readonly granted: (grant: Grant) => void;
  readonly closed: () => void;
}

type Info = ReturnType<typeof infoOf>;

function infoOf({ name }: LockId, mode: LockMode) {
  return { name, mode, clientId: `${process.pid}-${threadId}`, pid: process.pid, since: new Date() };
}

/** The holders of a lock and its waiters, first come first served. */
class MemoryRecord {
  readonly id: LockId;
  holders = new Set<MemoryGrant>();
  queue = new Set<Waiter>(); // in order of insertion
  readonly #used: (record: MemoryRecord) => void;
  readonly #unused: () => void;

  constructor(id: LockId, used: (record: MemoryRecord) => void, unused: () => void) {
    this.id = id;
    this.#used = used;
    this.#unused = unused;
  }

  get available(): number {
    return this.id.permits - Math.min(this.holders.size, this.id.permits);
  }

  tryGrant(mode: LockMode): MemoryGrant | null {
    return this.queue.size === 0 && this.#isFree(mode) ? this.#grant(mode) : null;
  }

  wait(
    { mode, waitMs, signal }: Want,
    resolve: (grant: Grant | null) => void,
    reject: (reason: unknown) => void,
  ): void {
    const leave = (): void => {
      clearTimeout(timer);
      if (signal !== undefined) forgetAbort(signal, waiter);
    };
    const giveUp = (settle: () => void): void => {
      leave();
      this.queue.delete(waiter);
      settle();
      this.#serve();
    };
    const waiter: Waiter = {
      mode,
      info: infoOf(this.id, mode),
      granted: (grant) => {
        leave();
        resolve(grant);
      },
      closed: () => {
        leave();
        reject(new SemlockError('ERR_SEMLOCK_CLOSED', 'the store was closed', { lockName: this.id.name }));
      },
    };
    const timer = waitMs === undefined ? undefined : setTimeout(() => giveUp(() => resolve(null)), waitMs);
    if (signal !== undefined) onAbort(signal, waiter, (reason) => giveUp(() => reject(reason)));
    this.queue.add(waiter);
  }

  steal(): MemoryGrant {
    const robbed = this.holders;
    this.holders = new Set();
    for (const grant of robbed) grant.lose('another has stolen it');
    return this.#grant('exclusive');
  }

  /** Whether that grant was still one. */
  giveBack(grant: MemoryGrant): boolean {
    if (!this.holders.delete(grant)) return false;
    this.#serve();
    return true;
  }

  close(): void {
    const [held, waiting] = [this.holders, this.queue];
    [this.holders, this.queue] = [new Set(), new Set()];
    this.#unused();
    for (const grant of held) grant.lose('the store was closed');
    for (const waiter of waiting) waiter.closed();
  }

  #isFree(mode: LockMode): boolean {
    const { holders, id } = this;
    if (mode === 'exclusive') return holders.size < id.permits;
    return [...holders].every((each) => each.info.mode === 'shared');
  }

  #grant(mode: LockMode): MemoryGrant {
    lastToken = Math.max(lastToken + 1, Date.now() * 1000);
    const grant = new MemoryGrant(this, { ...infoOf(this.id, mode), token: lastToken });
    this.holders.add(grant);
    this.#used(this);
    return grant;
  }

  #serve(): void {
    for (const next of this.queue) {
      if (!this.#isFree(next.mode)) break;
      this.queue.delete(next);
      next.granted(this.#grant(next.mode));
    }
    if (this.holders.size + this.queue.size === 0) this.#unused();
  }
}

class MemoryGrant implements Grant {
  readonly abandoned = false; // who could die with it takes the lock along
  readonly info: Info & { readonly token: number };
  readonly #record: MemoryRecord;
  #tell: ((why: string) => void) | undefined;
  #lost: string | undefined;

  constructor(record: MemoryRecord, info: Info & { readonly token: number }) {
    this.#record = record;
    this.info = info;
  }

  get id(): this {
    return this;
  }

  get token(): number {
    return this.info.token;
  }

  onLost(tell: (why: string) => void): void {
    if (this.#lost === undefined) this.#tell = tell;
    else tell(this.#lost);
  }

  release(): boolean {
    this.#tell = undefined;
    return this.#record.giveBack(this);
  }

  lose(why: string): void {
    this.#lost = why;
    const tell = this.#tell;
    this.#tell = undefined;
    tell?.(why);
  }
}
