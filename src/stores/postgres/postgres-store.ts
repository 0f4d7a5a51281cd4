// The store: its options, and what it can do beyond the contract.

import { describe, SemlockError } from '../../errors.js';
import { integer, optionError, optionParser, text, type OptionRule } from '../../options.js';
import type { ClosableStore } from '../../store.js';
import { remoteStore } from '../remote/remote-store.js';
import { PostgresBackend } from './backend.js';
import {
  isPgPool,
  isPostgresJs,
  listeningPostgresJs,
  ownClient,
  pgClient,
  postgresJsClient,
  type Client,
  type PgClient,
  type PgPool,
  type PostgresJsSql,
} from './client.js';
import { lockInTransaction, type LockInTransactionOptions } from './in-transaction.js';
import { migrate } from './migrate.js';

/** Options of {@link postgresStore}: one of `pool`, `sql` and `connectionString`, and the rest. */
export interface PostgresStoreOptions {
  /** A pool of `pg`, which stays yours to end. */
  pool?: PgPool;
  /** The `sql` of postgres.js, which stays yours to end. */
  sql?: PostgresJsSql;
  /** `postgres://user@host/database`; needs `pg` or `postgres` to be installed. */
  connectionString?: string;
  /** The schema of the locks, which {@link PostgresStore.migrate} makes. Default `'semlock'`. */
  schema?: string;
  /**
   * How long the server keeps the locks of a process from which it hears nothing, in milliseconds. The locks of a host that
   * is lost come free after that. At least 300, and the same in all processes. Default 15 000.
   */
  leaseMs?: number;
  /** How long one hold may last, in milliseconds; then it is lost. Default: as long as its process lives. */
  maxHoldMs?: number;
  /**
   * An address for notices to waiters that leads directly to the server, for one connection of each thread. Needed if `pool`,
   * `sql` or `connectionString` lead to a pooler of transactions, such as PgBouncer. `false`: no notices, waiters ask now and
   * then. Default: the same address as for all else, if notices come by it.
   */
  listen?: { readonly connectionString: string } | false;
}

/** What {@link postgresStore} gives. */
export interface PostgresStore extends ClosableStore {
  /**
   * Makes the schema, or brings it to the version of this semlock. May be called at any time, by any number of processes at
   * once; changes nothing outside of the schema.
   *
   * @throws rejects with {@link SemlockError} `ERR_SEMLOCK_STORE`; if the role may not do that, the message has the SQL, for
   * a role that may.
   */
  migrate(): Promise<void>;
  /**
   * Takes the lock of that name for a transaction of the caller, until the transaction is committed or rolled back. It
   * excludes all other holders of that name and namespace, as a {@link Lock} does. The transaction must be READ COMMITTED. It
   * can go on when this rejects.
   *
   * @param client - the client of `pg` on which `BEGIN` was called, or the `sql` that `sql.begin()` of postgres.js gives.
   * @throws rejects with {@link SemlockError} `ERR_SEMLOCK_TIMEOUT` when the lock is not free within `waitMs`,
   * `ERR_SEMLOCK_MISMATCH` where it is a semaphore, `ERR_SEMLOCK_STORE` without a transaction and when the server fails,
   * `ERR_SEMLOCK_OPTION`, `ERR_SEMLOCK_NAME`.
   *
   * @example
   * ```ts
   * import postgres from 'postgres';
   * import { postgresStore } from 'semlock/postgres';
   *
   * const sql = postgres();
   * const store = postgresStore({ sql });
   * await sql.begin(async (sql) => {
   *   await store.lockInTransaction(sql, 'ledger', { waitMs: 5_000 });
   *   await sql`UPDATE ledger SET total = total + 1`;
   * });
   * ```
   */
  lockInTransaction(client: PgClient | PostgresJsSql, name: string, options?: LockInTransactionOptions): Promise<void>;
}

const OWNER = 'postgresStore()';

const parse = optionParser<PostgresStoreOptions>()({
  pool: rule('a pool of pg', isPgPool),
  sql: rule('the sql of postgres.js', isPostgresJs),
  connectionString: text(),
  schema: text('semlock'),
  leaseMs: integer(300, 86_400_000, 15_000),
  maxHoldMs: integer(1, 2 ** 31 - 1),
  listen: rule('false or { connectionString }', isListen),
});

function rule<T>(accepts: string, test: (value: unknown) => value is T): OptionRule<T | undefined> {
  return { accepts, fallback: undefined, test };
}

function isListen(value: unknown): value is NonNullable<PostgresStoreOptions['listen']> {
  if (value === false) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { connectionString, ...more } = value as Record<string, unknown>;
  return typeof connectionString === 'string' && connectionString !== '' && Object.keys(more).length === 0;
}

/**
 * Makes a store whose locks live in a PostgreSQL database (13 or later). Make one for each process, and pass it as the
 * option `store`, or once to `setDefaultStore()`. Connects when the first lock is used; the schema must be there by then, see
 * {@link PostgresStore.migrate}. `await store.close()` gives back what is held.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`. What the server refuses rejects with `ERR_SEMLOCK_STORE` and its `cause`.
 *
 * @example
 * ```ts
 * import { Pool } from 'pg';
 * import { Lock } from 'semlock';
 * import { postgresStore } from 'semlock/postgres';
 *
 * const store = postgresStore({ pool: new Pool() });
 * await store.migrate();
 * await new Lock('ledger', { store, namespace: 'shop' }).run(() => rewrite('data/ledger'));
 * ```
 */
export function postgresStore(options: PostgresStoreOptions): PostgresStore {
  const { schema, leaseMs, maxHoldMs, listen, ...ways } = parse(OWNER, options);
  if (
    /^(public$|pg_|information_schema$)/.test(schema) ||
    Buffer.byteLength(schema) > 63 ||
    /[^\x20-\x7e]|\$/.test(schema)
  ) {
    throw optionError(
      OWNER,
      'schema',
      schema,
      'a schema of its own, of at most 63 printable ASCII characters other than $',
    );
  }
  const backend = new PostgresBackend(schema, connector(ways, listen), listen !== false);
  const store = remoteStore(backend, { leaseMs, maxHoldMs });
  return {
    ...store,
    migrate: async () => migrate(await backend.client(), schema),
    lockInTransaction: (client, name, given) => lockInTransaction(schema, store, client, name, given),
  };
}

/** What connects when it is needed. */
function connector(
  ways: Pick<PostgresStoreOptions, 'pool' | 'sql' | 'connectionString'>,
  listen: { readonly connectionString: string } | false | undefined,
): () => Promise<Client> {
  const { pool, sql, connectionString } = ways;
  const given = Object.values(ways).filter(Boolean);
  if (given.length !== 1) {
    const message = `${OWNER}: one of the options pool, sql and connectionString is needed, but ${describe(given.length)} were given`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
  const listenTo = listen ? listen.connectionString : undefined;
  if (pool !== undefined) return () => Promise.resolve(pgClient(pool, listenTo));
  if (connectionString !== undefined) return () => promised(() => ownClient(connectionString, listenTo));
  if (listenTo !== undefined) return () => promised(() => listeningPostgresJs(sql!, listenTo));
  return () => Promise.resolve(postgresJsClient(sql!, sql!));
}

function promised<T>(make: () => T): Promise<T> {
  return new Promise((resolve) => resolve(make()));
}
