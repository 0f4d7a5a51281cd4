// The clients through which a server is reached: the pool of `pg`, the `sql` of postgres.js, or one of these of our own.
// They are known by what they can do, so semlock depends on neither.

import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { describe, SemlockError } from '../../errors.js';
import { mainScript } from '../../main-script.js';
import { clearTimeout, setTimeout } from '../../timers.js';

/** A pool of `pg`, as far as it is used here. */
export interface PgPool {
  query(text: string): Promise<unknown>;
  connect(): Promise<unknown>;
  readonly totalCount: number;
}

/** A client of `pg`, as its pool gives it. */
export interface PgClient {
  query(text: string): Promise<unknown>;
}

/** The `sql` of postgres.js, or that of a transaction, as far as it is used here. */
export interface PostgresJsSql {
  unsafe(text: string): { simple(): PromiseLike<unknown> };
}

/** A way to the server. Statements go as one message each, with all their values in them. */
export interface Client {
  /** Runs statements; gives the rows of each, or of the only one. */
  run(statements: string): Promise<Rows[]>;
  /**
   * Has the payloads of a channel told, by a connection of its own that is made again when it breaks. `heard` is called
   * with whether it works, each time that changes. Gives what ends it.
   *
   * @throws rejects where notices cannot be had by that way.
   */
  listen?(
    channel: string,
    tell: (payload: string) => void,
    heard: (works: boolean) => void,
  ): Promise<() => Promise<void>>;
  /** For the thread that renews: what it connects with, where that can be cloned. */
  readonly worker?: WorkerOptions | undefined;
  close(): Promise<void>;
}

export type Rows = readonly Readonly<Record<string, unknown>>[];

/** What the renewing thread has to know. */
export interface WorkerOptions {
  readonly driver: 'pg' | 'postgres';
  readonly config: unknown;
  /** Files from which the driver may be found. */
  readonly from: readonly string[];
}

/** How soon a connection for notices is made again. */
const [FIRST_RETRY_MS, LAST_RETRY_MS] = [100, 5_000];

export function isPgPool(value: unknown): value is PgPool {
  const pool = value as Partial<PgPool> | null | undefined;
  return typeof pool?.query === 'function' && typeof pool.connect === 'function' && typeof pool.totalCount === 'number';
}

export function isPostgresJs(value: unknown): value is PostgresJsSql {
  return typeof value === 'function' && typeof (value as unknown as Partial<PostgresJsSql>).unsafe === 'function';
}

/** A client within a transaction, of either kind. */
export function transactionClient(client: unknown): Pick<Client, 'run'> {
  if (isPostgresJs(client)) return { run: (statements) => runPostgresJs(client, statements) };
  const pg = client as Partial<PgClient & PgPool> | null | undefined;
  if (typeof pg?.query === 'function' && pg.totalCount === undefined) {
    return { run: (statements) => runPg(client as PgClient, statements) };
  }
  const message =
    'lockInTransaction(): the client must be one of a transaction, as pool.connect() of pg or sql.begin() of postgres.js ' +
    `give it, but ${describe(client)} was given`;
  throw new SemlockError('ERR_SEMLOCK_OPTION', message);
}

async function runPg(client: PgClient, statements: string): Promise<Rows[]> {
  const answer = (await client.query(statements)) as { rows: Rows } | { rows: Rows }[];
  return (Array.isArray(answer) ? answer : [answer]).map(({ rows }) => rows);
}

async function runPostgresJs(sql: PostgresJsSql, statements: string): Promise<Rows[]> {
  const answer = (await sql.unsafe(statements).simple()) as Rows | Rows[];
  // Of several statements it is an array of arrays.
  return answer.length > 0 && Array.isArray(answer[0]) ? (answer as Rows[]) : [answer as Rows];
}

interface PgDriverClient extends PgClient {
  connect(): Promise<unknown>;
  end(): Promise<unknown>;
  on(event: string, listener: (argument: never) => void): unknown;
  readonly processID: number | null;
}

type PgClientClass = new (config: object) => PgDriverClient;

/** By a pool of `pg`. Notices come by a client of the same kind that is not in the pool. */
export function pgClient(pool: PgPool, listenTo: string | undefined, owned: boolean): Client {
  const { options = {}, Client: ClientClass } = pool as { options?: object; Client?: PgClientClass };
  const listening = listenTo === undefined ? options : { connectionString: listenTo };
  return {
    run: (statements) => runPg(pool, statements),
    ...(ClientClass === undefined
      ? {}
      : { listen: (channel, tell, heard) => listenByPg(() => new ClientClass(listening), channel, tell, heard) }),
    worker: workerOptions('pg', configOf(options, PG_OPTIONS)),
    close: async () => {
      if (owned) await (pool as unknown as { end(): Promise<void> }).end();
    },
  };
}

async function listenByPg(
  make: () => PgDriverClient,
  channel: string,
  tell: (payload: string) => void,
  heard: (works: boolean) => void,
): Promise<() => Promise<void>> {
  let client: PgDriverClient | undefined;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const connect = async (): Promise<void> => {
    const mine = make();
    client = mine;
    const lost = (): void => {
      if (client !== mine) return;
      client = undefined;
      heard(false);
      again(FIRST_RETRY_MS);
    };
    mine.on('error', lost);
    mine.on('notification', ({ payload = '' }: { payload?: string }) => tell(payload));
    try {
      await mine.connect();
      mine.on('end', lost);
      (mine as { connection?: { stream?: { unref?(): void } } }).connection?.stream?.unref?.();
      const answer = (await mine.query('SELECT pg_backend_pid() AS pid')) as { rows: { pid: number }[] };
      // A pooler tells its clients another number. What it is asked to listen to, it forgets.
      if (answer.rows[0]?.pid !== mine.processID) throw new SemlockError('ERR_SEMLOCK_STORE', BEHIND_POOLER);
      await mine.query(`LISTEN "${channel}"`);
    } catch (error) {
      if (client === mine) client = undefined;
      void mine.end().catch(() => undefined);
      throw error;
    }
    heard(true);
  };
  const again = (ms: number): void => {
    if (ended) return;
    timer = setTimeout(() => {
      connect().catch(() => again(Math.min(ms * 2, LAST_RETRY_MS)));
    }, ms).unref();
  };
  await connect();
  return async () => {
    ended = true;
    clearTimeout(timer);
    const last = client;
    client = undefined;
    await last?.end().catch(() => undefined);
  };
}

const BEHIND_POOLER = 'notices do not come through a pooler of transactions';

/** What postgres.js can do beside {@link PostgresJsSql}. */
interface PostgresJs extends PostgresJsSql {
  listen?: (
    channel: string,
    tell: (payload: string) => void,
    listening: () => void,
  ) => Promise<{ unlisten: () => Promise<void> }>;
  end(options?: object): Promise<void>;
  readonly options?: object;
}

/** How long a notice to ourselves may take. */
const PROBE_MS = 2_000;

/** By postgres.js, which makes its connection for notices, and makes that again, by itself. */
export function postgresJsClient(
  given: PostgresJsSql,
  listening: PostgresJsSql,
  owned: readonly PostgresJsSql[],
): Client {
  const sql = listening as PostgresJs;
  const { listen } = sql;
  return {
    run: (statements) => runPostgresJs(given, statements),
    ...(listen === undefined
      ? {}
      : {
          listen: async (channel, tell, heard) => {
            let probed: (() => void) | undefined;
            const probe = new Promise<void>((resolve) => (probed = resolve));
            const { unlisten } = await listen(
              channel,
              (payload) => (payload === '' ? probed?.() : tell(payload)),
              () => heard(true),
            );
            await sql.unsafe(`SELECT pg_notify('${channel}', '')`).simple();
            let timer: NodeJS.Timeout | undefined;
            const late = new Promise((_, reject) => {
              timer = setTimeout(() => reject(new SemlockError('ERR_SEMLOCK_STORE', BEHIND_POOLER)), PROBE_MS);
            });
            try {
              await Promise.race([probe, late]);
            } catch (error) {
              void unlisten().catch(() => undefined);
              throw error;
            } finally {
              clearTimeout(timer);
            }
            return unlisten;
          },
        }),
    worker: workerOptions('postgres', configOf((given as PostgresJs).options ?? {}, POSTGRES_JS_OPTIONS)),
    close: async () => {
      for (const each of owned) await (each as PostgresJs).end({ timeout: 5 });
    },
  };
}

/** By a client of our own, of whichever kind the app has installed. */
export function ownClient(connectionString: string, listenTo: string | undefined): Client {
  const pg = installed('pg') as {
    Pool: new (config: object) => PgPool & { on(event: 'error', listener: () => void): void };
  };
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- It may not be installed.
  if (pg !== undefined) {
    const config = { connectionString, max: OWN_CONNECTIONS, application_name: 'semlock', allowExitOnIdle: true };
    const pool = new pg.Pool(config);
    pool.on('error', () => undefined); // of a connection that is idle: the next statement has another
    return pgClient(pool, listenTo, true);
  }
  const sql = ownPostgresJs(connectionString);
  const listening = listenTo === undefined ? sql : ownPostgresJs(listenTo);
  return postgresJsClient(sql, listening, listening === sql ? [sql] : [sql, listening]);
}

/** For notices that a given `sql` cannot have, another one. */
export function listeningPostgresJs(sql: PostgresJsSql, listenTo: string): Client {
  const listening = ownPostgresJs(listenTo);
  return postgresJsClient(sql, listening, [listening]);
}

const OWN_CONNECTIONS = 4;

function ownPostgresJs(connectionString: string): PostgresJsSql {
  const postgres = installed('postgres') as ((url: string, options: object) => PostgresJsSql) | undefined;
  if (postgres !== undefined) {
    const connection = { application_name: 'semlock' };
    return postgres(connectionString, { max: OWN_CONNECTIONS, onnotice: () => undefined, connection });
  }
  const message =
    'postgresStore(): a connectionString needs the package "pg" or "postgres" to be installed; or pass a pool or sql of one';
  throw new SemlockError('ERR_SEMLOCK_STORE', message);
}

/** Where a driver may be installed. */
const places = [...(mainScript === undefined ? [] : [resolve(mainScript)]), join(process.cwd(), '_')];

function installed(name: string): unknown {
  for (const place of places) {
    try {
      return createRequire(place)(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

/** What makes the way to a server; the rest of a client's options is not for another thread. */
const PG_OPTIONS = [
  'connectionString',
  'host',
  'port',
  'user',
  'password',
  'database',
  'ssl',
  'options',
  'client_encoding',
];
const POSTGRES_JS_OPTIONS = ['host', 'port', 'path', 'user', 'pass', 'database', 'ssl', 'target_session_attrs'];

function configOf(options: object, keys: readonly string[]): object {
  const all = options as Record<string, unknown>;
  return Object.fromEntries(keys.flatMap((key) => (all[key] === undefined ? [] : [[key, all[key]]])));
}

/** Nothing where the options have functions in them, such as one that gets a password. */
function workerOptions(driver: WorkerOptions['driver'], config: object): WorkerOptions | undefined {
  try {
    structuredClone(config);
  } catch {
    return undefined;
  }
  return { driver, config, from: places };
}
