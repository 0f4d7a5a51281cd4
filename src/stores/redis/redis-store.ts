// The store: its options, and the client that it is given or makes.

import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

import { SemlockError } from '../../errors.js';
import { mainScript } from '../../main-script.js';
import { integer, optionError, optionParser, text, type OptionRule } from '../../options.js';
import type { ClosableStore } from '../../store.js';
import { remoteStore } from '../remote/remote-store.js';
import { connectionOf, type RedisClient, type RedisConnection } from './clients.js';
import { RedisBackend } from './redis-backend.js';

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /**
   * A client of ioredis, iovalkey or node-redis (connected, or about to connect), which stays yours to close; `{ url }`, where one of these
   * is installed; or an adapter to another client.
   */
  client: RedisClient | { url: string };
  /**
   * How long the server keeps the locks of a process from which it hears nothing, in milliseconds. The locks of a host that
   * is lost come free after that. At least 300. Default 15 000.
   */
  leaseMs?: number;
  /** What all keys and channels begin with. Default `semlock`. */
  prefix?: string;
  /**
   * How many replicas must have a grant before its holder is told: otherwise it is given back, and the request fails. It
   * makes a loss by failover rarer, not impossible. Not for clusters. Default 0.
   */
  syncReplicas?: number;
  /** How long one hold may last, in milliseconds; then it is lost. Default: as long as its process lives. */
  maxHoldMs?: number;
}

const parse = optionParser<RedisStoreOptions>()({
  client: anything(),
  leaseMs: integer(300, 86_400_000, 15_000),
  prefix: text('semlock'),
  syncReplicas: integer(0, 100, 0),
  maxHoldMs: integer(1, 2 ** 31 - 1),
});

/**
 * Makes a store whose locks live on a Redis server (6.2 or later) or Valkey. Make one for each process, and pass it as the option
 * `store`, or once to `setDefaultStore()`. Connects when the first lock is used. `await store.close()` gives back what
 * is held.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`. What the server refuses rejects with `ERR_SEMLOCK_STORE` and its `cause`.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis';
 * import { Lock } from 'semlock';
 * import { redisStore } from 'semlock/redis';
 *
 * const store = redisStore({ client: new Redis() });
 * const lock = new Lock('ledger', { store, namespace: 'shop' });
 * ```
 */
export function redisStore(options: RedisStoreOptions): ClosableStore {
  const { client, leaseMs, prefix, syncReplicas, maxHoldMs } = parse('redisStore()', options);
  if (/[{}]/.test(prefix)) throw optionError('redisStore()', 'prefix', prefix, 'without braces, which a cluster reads');
  const url = (client as { url?: unknown } | undefined)?.url;
  const isUrl = typeof url === 'string' && Object.keys(client as object).length === 1;
  const backend = isUrl ? backendOfUrl(url, prefix, syncReplicas) : backendOfClient(client, prefix, syncReplicas);
  return remoteStore(backend, { leaseMs, maxHoldMs });
}

function anything(): OptionRule<RedisStoreOptions['client'] | undefined> {
  return { accepts: 'a client', fallback: undefined, test: () => true };
}

function backendOfClient(client: unknown, prefix: string, replicas: number): RedisBackend {
  const connection = connectionOf(client, replicas > 0);
  return new RedisBackend(() => Promise.resolve(connection), { prefix, replicas });
}

function backendOfUrl(url: string, prefix: string, replicas: number): RedisBackend {
  return new RedisBackend(() => connectTo(url, replicas > 0), { prefix, replicas });
}

/** By whichever client the app has installed. */
async function connectTo(url: string, replicas: boolean): Promise<RedisConnection> {
  const { name, module } = installedClient();
  if (name === 'redis') {
    const client = (module as NodeRedisModule).createClient({ url });
    client.on('error', () => undefined); // commands tell of it
    await client.connect();
    return owned(connectionOf(client, replicas), () => client.destroy());
  }
  const { default: Redis } = module as IoRedisModule;
  const client = new Redis(url, { maxRetriesPerRequest: MOST_RETRIES });
  client.on('error', () => undefined);
  return owned(connectionOf(client, replicas), () => client.disconnect());
}

const MOST_RETRIES = 5;

interface NodeRedisModule {
  createClient(options: { url: string }): {
    on(event: 'error', listener: () => void): unknown;
    connect(): Promise<unknown>;
    destroy(): void;
  };
}

interface IoRedisModule {
  default: new (
    url: string,
    options: object,
  ) => { on(event: 'error', listener: () => void): unknown; disconnect(): void };
}

function owned(connection: RedisConnection, end: () => void): RedisConnection {
  const close = connection.close.bind(connection);
  return Object.assign(connection, {
    close: async () => {
      await close();
      end();
    },
  });
}

function installedClient(): { name: string; module: unknown } {
  const places = [mainScript, join(process.cwd(), '_')].filter((place) => place !== undefined);
  for (const name of ['ioredis', 'redis', 'iovalkey']) {
    for (const place of places) {
      try {
        return { name, module: createRequire(resolve(place))(name) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
      }
    }
  }
  throw new SemlockError(
    'ERR_SEMLOCK_STORE',
    'the store "redis" needs a client for its URL: install ioredis, redis or iovalkey, or give it one as "client"',
  );
}
