// What the tests of stores on servers share, made once for a run: a PostgreSQL cluster that each of their servers is a copy of,
// since making one takes longer than to start it; and a Redis server that is old enough by the time it is needed, since one that
// was just started grants nothing for a lease.

import { rmSync } from 'node:fs';

import type { TestProject } from 'vitest/node';

import { makeCluster } from './postgres/server.js';
import { RedisServer } from './redis/server.js';

declare module 'vitest' {
  interface ProvidedContext {
    postgresCluster: string;
    redisPort: number;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const redis = await RedisServer.start();
  const cluster = await makeCluster();
  project.provide('redisPort', redis.port);
  project.provide('postgresCluster', cluster);
  return async () => {
    await redis.stop();
    rmSync(cluster, { recursive: true, force: true });
  };
}
