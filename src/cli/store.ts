// The stores that the command can be told of: by the scheme of a URL. A new store has a line here.

import type { LockStore } from '../store.js';
import { processStore } from '../stores/process/process-store.js';
import { redisStore } from '../stores/redis/redis-store.js';
import { printable } from './text.js';
import { UsageError } from './usage.js';

const BY_SCHEME: Record<string, (url: string) => LockStore> = {
  process: () => processStore,
  redis: (url) => redisStore({ client: { url } }),
  rediss: (url) => redisStore({ client: { url } }),
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
