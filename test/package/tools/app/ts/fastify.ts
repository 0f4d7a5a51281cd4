import type { FastifyInstance } from 'fastify';
import { lockPlugin } from 'semlock/fastify';

export async function routes(app: FastifyInstance): Promise<void> {
  await app.register(lockPlugin, { waitMs: 1_000 });
  app.get('/report', { preHandler: app.fileLock('report') }, () => 'done');
}
