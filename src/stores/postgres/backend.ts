// One PostgreSQL server, as src/stores/remote wants it: each operation is a call of one function of the schema.

import { randomBytes } from 'node:crypto';

import { SemlockError } from '../../errors.js';
import type { LockId, LockInfo, LockManagerSnapshot } from '../../store.js';
import { setTimeout } from '../../timers.js';
import { atMost } from '../remote/at-most.js';
import type { Answer, Ask, Backend, Holding, Notice, Renewal, SessionId, WorkerConnection } from '../remote/backend.js';
import { closedStore } from '../remote/failure.js';
import type { Client } from './client.js';
import { explained, isTransient, sqlState, wrongVersion } from './errors.js';
import { escaped, keyOf, literal, spaceOf, unescaped } from './names.js';
import { keepListening } from './notices.js';
import { Polling } from './polling.js';
import { connectRenewer, type RenewerOptions } from './renewer.js';
import { quoted, SCHEMA_VERSION } from './schema.js';

type Value = string | number | boolean | null;

/** What the server tells of a request, for all sessions of this thread by one channel. */
type Told = Notice & { readonly sid: string; readonly request: number };

/** How often a call is repeated that has collided with others. */
const MOST_TRIES = 20;

/** The server is asked to tidy up after so many requests, with at most so many locks at a time. */
const [TIDY_AFTER, TIDY_AT_MOST] = [500, 2_000];

/** How long a close waits for what is being connected. */
const CLOSE_MS = 1_000;

/** How many locks of a session that ends are looked after in one transaction. */
const SWEEP_AT_MOST = 64;

export class PostgresBackend implements Backend {
  readonly name = 'postgres';
  readonly can = { sync: false, wait: true, share: true, steal: true, permits: true };
  readonly schema: string;
  readonly #connect: () => Promise<Client>;
  readonly #listens: boolean;
  readonly #channel = `semlock_${randomBytes(12).toString('hex')}`;
  readonly #tells = new Map<string, (notice: Notice) => void>();
  readonly #polling: Polling<Told>;
  /** Requests with a call that was not answered: the server may still execute it. */
  readonly #doubtful = new Set<string>();
  readonly #asking = new Set<string>();
  /** Of several connections the last could be the first to ask. */
  readonly #turns = new Turns();
  #client: Promise<Client> | undefined;
  #opened: Client | undefined;
  #hearing: Promise<string | null> | undefined;
  #stopHearing: (() => void) | undefined;
  #isClosed = false;
  #where = '';
  #requests = 0;

  constructor(schema: string, connect: () => Promise<Client>, listens: boolean) {
    this.schema = schema;
    this.#connect = connect;
    this.#listens = listens;
    this.#polling = new Polling(
      (sids, requests) => this.call<Told[]>('granted', `{${sids.join(',')}}`, `{${requests.join(',')}}`),
      ({ sid, ...notice }) => this.#tells.get(sid)?.(notice),
    );
  }

  /** Known when the first session begins. The same by whatever way the server is reached. */
  get place(): string {
    return this.#where;
  }

  get worker(): WorkerConnection | undefined {
    const reach = this.#opened?.worker;
    if (reach === undefined) return undefined;
    const options: RenewerOptions = { ...reach, renew: `${quoted(this.schema)}.renew` };
    return { source: connectRenewer.toString(), options };
  }

  async begin({ namespace, sid }: SessionId, leaseMs: number, suspect: boolean): Promise<void> {
    await this.#ready();
    await this.call('begin', sid, spaceOf(namespace), leaseMs, await this.#hear(), suspect);
  }

  renew({ sid }: SessionId, leaseMs: number, acknowledged: readonly number[]): Promise<Renewal> {
    return this.call('renew', sid, leaseMs, `{${acknowledged.join(',')}}`);
  }

  async end({ sid }: SessionId, died: boolean): Promise<boolean> {
    this.#polling.forget(sid);
    for (const doubt of this.#doubtful) if (doubt.startsWith(`${sid}/`)) this.#doubtful.delete(doubt);
    const was = await this.call<boolean>('mark', sid, died ? 'died' : 'released');
    while ((await this.call<number>('sweep', sid, SWEEP_AT_MOST)) > 0);
    return was;
  }

  acquire(session: SessionId, ask: Ask): Promise<Answer> {
    const asked = `${session.sid}/${ask.request}`;
    if (this.#asking.has(asked)) this.#doubtful.add(asked);
    this.#asking.add(asked);
    return this.#turns.take(`${ask.lock.namespace}\0${ask.lock.name}`, () => this.#acquire(session, ask, asked));
  }

  async #acquire({ sid }: SessionId, { lock, request, mode, wait, steal }: Ask, asked: string): Promise<Answer> {
    try {
      const { permits } = lock;
      const answer = await this.call<Answer>(
        'acquire',
        sid,
        request,
        ...this.#place(lock),
        permits,
        mode === 'shared',
        wait,
        steal,
      );
      if (answer.is === 'queued') this.#polling.add(sid, request);
      else this.#polling.delete(sid, request);
      if (answer.is === 'expired') this.#doubtful.delete(asked);
      return answer;
    } catch (error) {
      this.#doubtful.add(asked);
      throw error;
    } finally {
      this.#asking.delete(asked);
      this.#count();
    }
  }

  async cancel({ sid }: SessionId, lock: LockId, request: number): Promise<void> {
    const asked = `${sid}/${request}`;
    this.#polling.delete(sid, request);
    const inDoubt = this.#doubtful.has(asked) || this.#asking.has(asked);
    await this.call('cancel', sid, request, ...this.#place(lock), lock.permits, inDoubt);
    this.#doubtful.delete(asked);
  }

  async release({ sid }: SessionId, lock: LockId, { request, token }: Holding, unused: boolean): Promise<boolean> {
    const asked = `${sid}/${request}`;
    const inDoubt = this.#doubtful.has(asked);
    const had = await this.call<boolean>('release', sid, request, token, keyOf(this.schema, lock), unused, inDoubt);
    this.#doubtful.delete(asked);
    return had;
  }

  async holdings({ sid }: SessionId): Promise<readonly Holding[]> {
    const all = await this.call<Holding[]>('holdings', sid);
    return all.map((holding) => ({ ...holding, name: unescaped(holding.name) }));
  }

  async query(namespace: string): Promise<LockManagerSnapshot> {
    await this.#ready();
    const rows = await this.call<Row[]>('query', escaped(namespace));
    const held = rows.filter(({ state }) => state === 'held');
    const pending = rows.filter(({ state }) => state === 'waiting');
    return {
      held: held.map((row) => ({ ...infoOf(row), token: row.token, alive: row.alive })),
      pending: pending.map(infoOf),
      gaps: [],
    };
  }

  isRefusal(error: unknown): boolean {
    const ours = error instanceof SemlockError;
    const state = sqlState(ours ? error.cause : error);
    if (state === undefined) return ours;
    // The connection ended, the server stops, starts or has none left, or transactions were in each other's way.
    return !/^(08|25P03|40|53300|57P0[1235])/.test(state);
  }

  listen({ sid }: SessionId, tell: (notice: Notice) => void): Promise<() => void> {
    this.#tells.set(sid, tell);
    return Promise.resolve(() => this.#tells.delete(sid));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#polling.close();
    await atMost(CLOSE_MS, this.#hearing);
    this.#stopHearing?.();
    await atMost(CLOSE_MS, this.#client);
    this.#client = undefined;
    await this.#opened?.close();
  }

  /** Runs statements of the caller's own. */
  async run(statements: string): ReturnType<Client['run']> {
    return (await this.client()).run(statements);
  }

  client(): Promise<Client> {
    if (this.#client === undefined) {
      if (this.#isClosed) return Promise.reject(closedStore());
      this.#client = this.#connect();
      this.#client.then(
        (client) => (this.#opened = client),
        () => (this.#client = undefined),
      );
    }
    return this.#client;
  }

  /** Calls a function of the schema: again where other transactions were in its way, so it did nothing. */
  async call<T>(name: string, ...values: Value[]): Promise<T> {
    const client = await this.client();
    const statement = callOf(this.schema, name, values);
    for (let tries = 1; ; tries += 1) {
      try {
        const [rows] = await client.run(statement);
        return JSON.parse(rows![0]!['answer'] as string) as T;
      } catch (error) {
        if (!isTransient(error) || tries === MOST_TRIES) throw explained(error, this.schema);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 5 * tries));
      }
    }
  }

  /** Before the first session, as errors say more then. */
  async #ready(): Promise<void> {
    try {
      const [rows] = await this.run(
        `SELECT version, pg_catalog.current_database()::text AS database, c.system_identifier::text AS system
          FROM ${quoted(this.schema)}.state, pg_catalog.pg_control_system() c`,
      );
      const { version, database, system } = rows![0]!;
      this.#where = `${String(system)} ${escaped(String(database))} ${escaped(this.schema)}`;
      const found = Number(version);
      if (found !== SCHEMA_VERSION) throw wrongVersion(this.schema, found);
    } catch (error) {
      throw explained(error, this.schema);
    }
  }

  /** The channel by which notices come; `null` where they cannot. */
  #hear(): Promise<string | null> {
    this.#hearing ??= this.#startHearing().catch(() => {
      this.#hearing = undefined; // the next session tries again
      return null;
    });
    return this.#hearing;
  }

  async #startHearing(): Promise<string | null> {
    const { ear } = await this.client();
    if (!this.#listens || ear === undefined) return null;
    const heard = (works: boolean): void => {
      this.#polling.on = !works;
      if (works) for (const tell of this.#tells.values()) tell({ is: 'look' }); // what came meanwhile is lost
    };
    const tell = (payload: string): void => {
      const { sid, ...notice } = JSON.parse(payload) as Told;
      if (notice.is === 'granted') this.#polling.delete(sid, notice.request);
      this.#tells.get(sid)?.(notice);
    };
    this.#stopHearing = await keepListening(ear, this.#channel, tell, heard);
    if (this.#isClosed) this.#stopHearing(); // it came too late for close()
    return this.#channel;
  }

  #place(lock: LockId): [string, string, string, string] {
    const { namespace, name } = lock;
    return [keyOf(this.schema, lock), spaceOf(namespace), escaped(namespace), escaped(name)];
  }

  #count(): void {
    this.#requests += 1;
    if (this.#requests % TIDY_AFTER === 0) void this.call('tidy', TIDY_AT_MOST).catch(() => undefined);
  }
}

/** Does one thing after the other, for each key. */
class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  take<T>(key: string, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const mine = before === undefined ? act() : before.then(act, act);
    this.#last.set(key, mine);
    const done = (): void => {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    };
    mine.then(done, done);
    return mine;
  }
}

/** One statement that calls a function of the schema, and gives what it answers as text of JSON. */
export function callOf(schema: string, name: string, values: readonly Value[]): string {
  return `SELECT ${quoted(schema)}.${name}(${values.map(literal).join(', ')})::text AS answer`;
}

interface Row {
  readonly name: string;
  readonly state: 'held' | 'waiting';
  readonly shared: boolean;
  readonly sid: string;
  readonly since: number;
  readonly token: number;
  readonly alive: boolean;
}

function infoOf({ name, shared, sid, since }: Row): LockInfo {
  const [pid, thread] = sid.split('-');
  return {
    name: unescaped(name),
    mode: shared ? 'shared' : 'exclusive',
    clientId: `${pid}-${thread}`,
    pid: Number(pid),
    since: new Date(since),
  };
}
