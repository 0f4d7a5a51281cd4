// The stores that the command can be told of: by the scheme of a URL. A new store has a line here. Each is loaded when it
// is asked for, because most calls ask for none, and import() would start the loader of ES modules.

import type { LockManagerSnapshot, LockStore, QueryTarget } from '../store.js';
import { processStore } from '../stores/process/process-store.js';
import type { postgresStore } from '../stores/postgres/postgres-store.js';
import type { redisStore } from '../stores/redis/redis-store.js';
import type { createLocks } from '../web-locks/lock-manager.js';
import { printable } from './text.js';
import { UsageError } from './usage.js';

/* eslint-disable @typescript-eslint/no-require-imports -- see above */
const loadRedis = () => require('../stores/redis/redis-store.js') as { redisStore: typeof redisStore };
const loadPostgres = () => require('../stores/postgres/postgres-store.js') as { postgresStore: typeof postgresStore };
const loadManager = () => require('../web-locks/lock-manager.js') as { createLocks: typeof createLocks };
/* eslint-enable @typescript-eslint/no-require-imports */

const postgres = (url: string): LockStore => loadPostgres().postgresStore({ connectionString: url });
const redis = (url: string): LockStore => loadRedis().redisStore({ client: { url } });

const BY_SCHEME: Record<string, (url: string) => LockStore> = {
  postgres,
  postgresql: postgres,
  process: () => processStore,
  redis,
  rediss: redis,
};

/** @throws {@link UsageError} for what no store is named by. */
export function storeFrom(url: string | undefined): LockStore | undefined {
  if (url === undefined) return undefined;
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? '';
  const known = Object.keys(BY_SCHEME);
  const make = known.includes(scheme) ? BY_SCHEME[scheme] : undefined;
  if (make !== undefined) return make(url);
  const list = known.map((each) => `${each}:`).join(', ');
  throw new UsageError(`--store must be a URL of one of these kinds: ${list}; not '${printable(url)}'`);
}

/** The holders and the waiters, in that store or on this machine. */
export function queryOf(store: LockStore | undefined): (where: QueryTarget) => Promise<LockManagerSnapshot> {
  if (store === undefined) return (where) => processStore.query!(where);
  const locks = loadManager().createLocks({ store }); // which says what a store cannot do
  return (where) => locks.query(where);
}
