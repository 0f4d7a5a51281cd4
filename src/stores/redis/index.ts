/**
 * Locks on Redis or Valkey.
 *
 * @module semlock/redis
 */

export { redisStore, type RedisStoreOptions } from './redis-store.js';
export { type IoRedisLike, type NodeRedisLike, type RedisAdapter, type RedisClient } from './clients.js';
