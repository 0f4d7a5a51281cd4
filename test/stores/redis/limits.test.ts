// Holds whose time is over, and data that the server throws away.

import { Redis } from 'ioredis';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { keyOf } from '../../../src/stores/redis/keys.js';
import { redisStore, type RedisStoreOptions } from '../../../src/stores/redis/index.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 1_500;
const server = await RedisServer.start();
await server.isOlderThan(leaseMs);
afterAll(() => server.stop());

function lockOf(namespace: string, options: Partial<RedisStoreOptions> = {}): Lock {
  const client = new Redis(server.port, { maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  const store = redisStore({ client, leaseMs, ...options });
  onTestFinished(async () => {
    await store.close();
    client.disconnect();
  });
  return new Lock('file', { namespace, store });
}

/** Blocks this thread, as a process is when it is stopped. */
function stop(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('A hold', () => {
  it('of longer than maxHoldMs is lost, and whoever waits gets in', async () => {
    const [lock, other] = [lockOf('limit', { maxHoldMs: 300 }), lockOf('limit')];
    const hold = await lock.acquire();
    const next = await other.acquire();
    expect(hold.lost).toMatchObject({
      code: 'ERR_SEMLOCK_LOST',
      message: expect.stringContaining('longer than 300 ms') as string,
    });
    expect(next.token).toBeGreaterThan(hold.token);
    expect(hold.release()).toBe(false);
    await next[Symbol.asyncDispose]();
  });

  it('of longer than maxHoldMs by a thread that is stuck is lost, too', async () => {
    const [lock, other] = [lockOf('stuck', { maxHoldMs: 300 }), lockOf('stuck')];
    const hold = await lock.acquire();
    stop(2.5 * leaseMs);
    expect(hold.lost?.code).toBe('ERR_SEMLOCK_LOST');
    await (await other.acquire())[Symbol.asyncDispose]();
  });

  it.each(['lost', 'signal'] as const)('whose time ran out while nothing ran says so at once by "%s"', async (way) => {
    const hold = await lockOf(`stopped ${way}`).acquire();
    server.signal('SIGSTOP');
    stop(leaseMs);
    const found = way === 'lost' ? hold.lost : (hold.signal.reason as unknown);
    server.signal('SIGCONT');
    expect(found).toMatchObject({ code: 'ERR_SEMLOCK_LOST' });
    expect(hold.release()).toBe(false);
  });
});

describe('When the server throws the key away for want of memory', () => {
  it('its holder is told, nobody is let in before, and tokens still grow', async () => {
    const [lock, other] = [lockOf('evicted'), lockOf('evicted')];
    const hold = await lock.acquire();
    await (await other.acquire({ ifAvailable: true }))?.[Symbol.asyncDispose]();
    const lost = new Promise((resolve) => hold.signal.addEventListener('abort', resolve, { once: true }));
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-random', 'maxmemory', '1');
    await server.command('SET', 'another', 'x'.repeat(100));
    await server.command('CONFIG', 'SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
    expect(await server.command('EXISTS', keyOf('semlock', 'evicted'))).toMatch(/^:0/);
    const next = await other.acquire();
    expect(hold.lost?.code).toBe('ERR_SEMLOCK_LOST');
    await lost;
    expect(next.token).toBeGreaterThan(hold.token);
    await next[Symbol.asyncDispose]();
  });
});
