// What redis or valkey does for the locks that live on it: each operation is a call of the script.

import { SemlockError } from '../../errors.js';
import type { LockId, LockManagerSnapshot } from '../../store.js';
import type { Answer, Ask, Backend, Holding, Notice, Renewal, SessionId, WorkerConnection } from '../remote/backend.js';
import type { RedisConnection } from './clients.js';
import { fieldOf, keyOf, nameOf } from './keys.js';
import { SCRIPT, SHA } from './script.js';
import { connectWorker, type WorkerOptions } from './worker-connection.js';

/** How long to wait for replicas, in milliseconds. */
const REPLICAS_MS = 1_000;

/** What a server queues is done later, or never. */
const IN_TRANSACTION =
  'the store "redis" cannot work by a client that has a transaction (MULTI) open: give it a client of its own';

export class RedisBackend implements Backend {
  readonly name = 'redis';
  readonly can = { sync: false, wait: true, share: true, steal: true, permits: true };
  readonly #connect: () => Promise<RedisConnection>;
  readonly #prefix: string;
  readonly #replicas: number;
  readonly #listening = new Map<string, number>(); // sessions that listen, by namespace
  readonly #keys = new Map<string, string>(); // by namespace
  readonly #released = new Map<string, number>(); // how many permits, by session
  #connecting: Promise<RedisConnection> | undefined;
  #connection: RedisConnection | undefined;

  /** @param connect - called when the server is first needed, and again after it failed. */
  constructor(connect: () => Promise<RedisConnection>, { prefix, replicas }: { prefix: string; replicas: number }) {
    this.#connect = connect;
    this.#prefix = prefix;
    this.#replicas = replicas;
  }

  /** As the addresses are written; those of one app are written in one way, but for this host's own. */
  get place(): string {
    const { keyPrefix = '', addresses = [] } = this.#connection ?? {};
    const all = addresses.map(({ host = 'localhost', port = 6379, path, db = 0 }) => {
      return `${path ?? `${host === '127.0.0.1' ? 'localhost' : host}:${port}`}/${db}`;
    });
    return `${all.sort().join(' ')} ${keyPrefix}${this.#prefix}`;
  }

  get worker(): WorkerConnection | undefined {
    const { keyPrefix = '', addresses = [] } = this.#connection ?? {};
    if (addresses.length === 0) return undefined;
    const options: WorkerOptions = { addresses, script: SCRIPT, sha: SHA, prefix: keyPrefix + this.#prefix };
    return { source: connectWorker.toString(), options };
  }

  /** Errors of the server begin with a word in capitals. Those of this list say that it cannot answer yet. */
  isRefusal(error: unknown): boolean {
    const { message } = error as Partial<Error>;
    if (error instanceof SemlockError) return true;
    const word = /^-?([A-Z]{2,})\b/.exec(message ?? '')?.[1];
    return word !== undefined && !['LOADING', 'CLUSTERDOWN', 'TRYAGAIN', 'MASTERDOWN', 'BUSY'].includes(word);
  }

  async begin(session: SessionId, leaseMs: number, suspect: boolean): Promise<void> {
    const listening = (this.#listening.get(session.namespace) ?? 0) > 0;
    await this.#run(session, 'begin', String(leaseMs), flag(suspect), flag(listening));
  }

  async renew(session: SessionId, leaseMs: number, acknowledged: readonly number[]): Promise<Renewal> {
    const [is, held, incarnation, stolen] = listOf(
      await this.#run(session, 'renew', String(leaseMs), ...acknowledged.map(String)),
    );
    if (is !== 'alive') {
      this.#released.delete(session.sid);
      return { alive: false };
    }
    return { alive: true, held: Number(held), incarnation: String(incarnation), stolen: listOf(stolen).map(Number) };
  }

  async end(session: SessionId): Promise<boolean> {
    this.#released.delete(session.sid);
    return Number(await this.#run(session, 'end')) === 1;
  }

  async acquire(session: SessionId, { lock, request, mode, wait, steal }: Ask): Promise<Answer> {
    const answer = await this.#run(
      session,
      'acquire',
      fieldOf(lock.name),
      String(request),
      flag(mode === 'shared'),
      flag(wait),
      flag(steal),
      String(lock.permits),
    );
    const [is = 'granted', first = answer] = listOf(answer);
    switch (is) {
      case 'granted':
      case 'abandoned': {
        const token = Number(first);
        if (this.#replicas > 0) await this.#replicate(session, lock, { name: lock.name, request, token });
        return { is: 'granted', token, abandoned: is === 'abandoned' };
      }
      case 'queued':
        return { is, againMs: Number(first) };
      case 'mismatch':
        return { is, permits: Number(first) };
      case 'busy':
      case 'expired':
      case 'over':
        return { is };
      default:
        throw new Error(`an answer that is not known: ${JSON.stringify(answer)}`);
    }
  }

  async cancel(session: SessionId, lock: LockId, request: number): Promise<void> {
    await this.#run(session, 'cancel', fieldOf(lock.name), String(request));
  }

  async release(session: SessionId, lock: LockId, { request, token }: Holding, unused: boolean): Promise<boolean> {
    const had =
      Number(await this.#run(session, 'release', fieldOf(lock.name), String(request), String(token), flag(unused))) ===
      1;
    if (had) this.#released.set(session.sid, (this.#released.get(session.sid) ?? 0) + 1);
    return had;
  }

  heldOf({ sid }: SessionId, granted: number): number {
    return granted - (this.#released.get(sid) ?? 0);
  }

  async holdings(session: SessionId): Promise<readonly Holding[]> {
    const [granted, all] = listOf(await this.#run(session, 'holdings'));
    const found = listOf(all);
    this.#released.set(session.sid, Number(granted) - found.length);
    return found.filter(Array.isArray).map(([field, request, token]: unknown[]) => ({
      name: nameOf(String(field)),
      request: Number(request),
      token: Number(token),
    }));
  }

  async query(namespace: string): Promise<LockManagerSnapshot> {
    const found = listOf(await this.#run({ namespace, sid: '' }, 'query'));
    const held: LockManagerSnapshot['held'][number][] = [];
    const pending: LockManagerSnapshot['pending'][number][] = [];
    for (const lock of found) {
      const [field, holders, tickets] = listOf(lock);
      const name = nameOf(String(field));
      for (const holder of listOf(holders)) {
        const [sid, , shared, token, since, alive] = listOf(holder);
        held.push({ ...infoOf(name, sid, shared, since), token: Number(token), alive: Number(alive) === 1 });
      }
      for (const ticket of listOf(tickets)) {
        const [sid, , shared, since] = listOf(ticket);
        pending.push(infoOf(name, sid, shared, since));
      }
    }
    held.sort((a, b) => a.token - b.token);
    return { held, pending, gaps: [] };
  }

  async listen({ namespace, sid }: SessionId, tell: (notice: Notice) => void): Promise<() => void> {
    const connection = await this.#connected();
    const channel = connection.keyPrefix + this.#key(namespace);
    const stops = [
      await connection.subscribe(`${channel}:${sid}`, (message) => {
        const notice = noticeOf(message);
        // Asked for again, it is written again, by the connection that then waits for the replicas.
        tell(this.#replicas > 0 && notice.is === 'granted' ? { is: 'look' } : notice);
      }),
      await connection.subscribe(channel, (message) => {
        if (message === 'look') tell({ is: 'look' });
      }),
    ];
    this.#count(namespace, 1);
    return () => {
      this.#count(namespace, -1);
      for (const stop of stops) stop();
    };
  }

  async close(): Promise<void> {
    const connection = await this.#connecting?.catch(() => undefined);
    await connection?.close();
  }

  /** Gives the permit back when too few replicas have it. */
  async #replicate(session: SessionId, lock: LockId, permit: Holding): Promise<void> {
    if (this.#replicas === 0) return;
    const connection = await this.#connected();
    const have = (await connection.wait?.(this.#replicas, REPLICAS_MS)) ?? 0;
    if (have >= this.#replicas) return;
    await this.release(session, lock, permit, true);
    const message = `the store "redis" did not give the lock "${lock.name}": ${have} of ${this.#replicas} replicas had it in time`;
    throw new SemlockError('ERR_SEMLOCK_STORE', message, { lockName: lock.name });
  }

  #count(namespace: string, change: number): void {
    this.#listening.set(namespace, (this.#listening.get(namespace) ?? 0) + change);
  }

  async #connected(): Promise<RedisConnection> {
    if (this.#connection !== undefined) return this.#connection;
    const connecting = (this.#connecting ??= this.#connect());
    try {
      return (this.#connection = await connecting);
    } catch (error) {
      if (this.#connecting === connecting) this.#connecting = undefined;
      throw error;
    }
  }

  /** The key of a namespace costs a hash, which is as much as a tenth of a request. */
  #key(namespace: string): string {
    let key = this.#keys.get(namespace);
    if (key === undefined) this.#keys.set(namespace, (key = keyOf(this.#prefix, namespace)));
    return key;
  }

  async #run({ namespace, sid }: SessionId, op: string, ...args: string[]): Promise<unknown> {
    const connection = this.#connection ?? (await this.#connected());
    const answer = await connection.run(this.#key(namespace), [op, sid, ...args]);
    if (answer === 'QUEUED') throw new SemlockError('ERR_SEMLOCK_STORE', IN_TRANSACTION);
    return answer;
  }
}

function flag(is: boolean): string {
  return is ? '1' : '0';
}

function listOf(answer: unknown): unknown[] {
  return Array.isArray(answer) ? (answer as unknown[]) : [];
}

function infoOf(name: string, sid: unknown, shared: unknown, since: unknown) {
  const mode = Number(shared) === 1 ? ('shared' as const) : ('exclusive' as const);
  return { name, mode, clientId: String(sid), pid: Number.parseInt(String(sid), 10), since: new Date(Number(since)) };
}

/** `granted <request> <token> <abandoned>`, `stolen <token>` or `look`. */
function noticeOf(message: string): Notice {
  const [is, ...numbers] = message.split(' ');
  const [first = NaN, token = NaN, abandoned] = numbers.map(Number);
  if (is === 'granted') return { is, request: first, token, abandoned: abandoned === 1 };
  if (is === 'stolen') return { is, token: first };
  return { is: 'look' };
}
