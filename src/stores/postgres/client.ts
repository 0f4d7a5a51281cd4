// The clients through which a server is reached: the pool of `pg`, the `sql` of postgres.js, or one of these of our own.
// They are known by what they can do, so semlock depends on neither.

import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { describe, SemlockError } from '../../errors.js';
import { mainScript } from '../../main-script.js';
import { atMost } from '../remote/at-most.js';
import {
  earOfPg,
  earOfPostgresJs,
  type MakeEar,
  type PgClientClass,
  type PgDriverClient,
  type Postgres,
} from './notices.js';
import { Sockets, type PostgresJsOptions } from './sockets.js';

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
  /** What hears notices; absent where that cannot be. */
  readonly ear?: MakeEar;
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

/** By a pool of `pg`. Notices come by a client of the same kind that is not in the pool. */
export function pgClient(pool: PgPool, listenTo: string | undefined, end?: () => Promise<void>): Client {
  const { options = {}, Client: ClientClass } = pool as { options?: object; Client?: PgClientClass };
  const listening = listenTo === undefined ? options : { connectionString: listenTo };
  return {
    run: (statements) => runPg(pool, statements),
    ...(ClientClass === undefined ? {} : { ear: earOfPg(ClientClass, listening) }),
    worker: workerOptions('pg', configOf(options, PG_OPTIONS)),
    close: () => end?.() ?? Promise.resolve(),
  };
}

/** What postgres.js can do beside {@link PostgresJsSql}. */
interface PostgresJs extends PostgresJsSql {
  end(options?: object): Promise<void>;
  readonly options?: PostgresJsOptions;
}

/** By postgres.js. Notices come by one of its kind, where that is installed and was not bundled. */
export function postgresJsClient(
  given: PostgresJsSql,
  listening: PostgresJsSql,
  end: () => Promise<void> = () => Promise.resolve(),
): Client {
  const { options } = listening as PostgresJs;
  const postgres = options === undefined ? undefined : (installed('postgres') as Postgres | undefined);
  return {
    run: (statements) => runPostgresJs(given, statements),
    ...(postgres === undefined ? {} : { ear: earOfPostgresJs(postgres, options!) }),
    worker: workerOptions('postgres', configOf((given as PostgresJs).options ?? {}, POSTGRES_JS_OPTIONS)),
    close: end,
  };
}

/** By a client of our own, of whichever kind the app has installed. */
export function ownClient(connectionString: string, listenTo: string | undefined): Client {
  const pg = installed('pg') as Pg | undefined;
  if (pg !== undefined) {
    const { pool, end } = ownPg(pg, connectionString);
    return pgClient(pool, listenTo, end);
  }
  const { sql, end } = ownPostgresJs(connectionString);
  if (listenTo === undefined) return postgresJsClient(sql, sql, end);
  return postgresJsClient(sql, ownPostgresJs(listenTo).sql, end);
}

/** For notices that a given `sql` cannot have, the way to have them. */
export function listeningPostgresJs(sql: PostgresJsSql, listenTo: string): Client {
  return postgresJsClient(sql, ownPostgresJs(listenTo).sql);
}

/** How many connections one of our own has, and how long it is given to end. */
const [OWN_CONNECTIONS, END_MS] = [4, 1_000];

interface Pg {
  readonly Pool: new (config: object) => PgPool & {
    on(event: 'error', listener: () => void): void;
    end(): Promise<void>;
  };
  readonly Client: PgClientClass;
}

function ownPg({ Pool, Client: ClientClass }: Pg, connectionString: string) {
  const clients = new Set<PgDriverClient>();
  class OwnClient extends ClientClass {
    constructor(config: object) {
      super(config);
      clients.add(this);
      this.on('end', () => clients.delete(this));
    }
  }
  const pool = new Pool({
    connectionString,
    max: OWN_CONNECTIONS,
    application_name: 'semlock',
    allowExitOnIdle: true,
    Client: OwnClient,
  });
  pool.on('error', () => undefined); // of a connection that is idle: the next statement has another
  const end = async (): Promise<void> => {
    await atMost(END_MS, pool.end());
    for (const { connection } of clients) connection?.stream?.destroy();
  };
  return { pool, end };
}

function ownPostgresJs(connectionString: string) {
  const postgres = installed('postgres') as ((url: string, options: object) => PostgresJs) | undefined;
  if (postgres === undefined) {
    const message =
      'postgresStore(): a connectionString needs the package "pg" or "postgres" to be installed; or pass a pool or sql of one';
    throw new SemlockError('ERR_SEMLOCK_STORE', message);
  }
  const sockets = new Sockets();
  const connection = { application_name: 'semlock' };
  const sql = postgres(connectionString, {
    max: OWN_CONNECTIONS,
    onnotice: () => undefined,
    fetch_types: false, // where the connection ends meanwhile, nothing catches that
    connection,
    socket: sockets.socket,
  });
  const end = async (): Promise<void> => {
    await sql.end({ timeout: END_MS / 1000 });
    sockets.end();
  };
  return { sql, end };
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
