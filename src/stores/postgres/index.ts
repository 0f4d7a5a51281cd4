/**
 * Locks in a PostgreSQL database.
 *
 * @module semlock/postgres
 */

export { type PgClient, type PgPool, type PostgresJsSql } from './client.js';
export { guard, type GuardOptions } from './fencing.js';
export { type LockInTransactionOptions } from './in-transaction.js';
export { postgresStore, type PostgresStore, type PostgresStoreOptions } from './postgres-store.js';
