import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { scratchNamespace } from '../support/shm.js';
import { Consumer } from './consumer.js';
import type { Server } from './server.js';

const busy = { status: 503, body: 'busy' };
const nest = { project: 'nestjs', routes: ['/above', '/below', '/combined', '/route', '/later'], success: 201 };
const nest11 = ['@nestjs/common@11', '@nestjs/core@11', '@nestjs/platform-express@11'];
const done = (status = 200) => ({ status, body: 'done' });

interface Case {
  project: string;
  routes: string[];
  success?: number;
  /** Versions in place of those that its package.json names. */
  others?: string[];
}

describe.each<Case>([
  { project: 'express-4', routes: ['/everything/a', '/middleware/a', '/wrapped', '/method'] },
  { project: 'express-5', routes: ['/everything/a', '/middleware/a', '/wrapped', '/method'] },
  { project: 'standard-decorators', routes: ['/method', '/static-method', '/locked', '/static-locked'] },
  { project: 'legacy-decorators', routes: ['/method', '/static-method', '/locked', '/static-locked'] },
  nest,
  { ...nest, others: nest11 },
  { project: 'routing-controllers', routes: ['/above', '/below/1', '/later'] },
  { project: 'overnight', routes: ['/above', '/below/1', '/later'] },
  { project: 'decorators-express', routes: ['/above', '/below/1', '/later'] },
])('the project $project $others, compiled by tsc and run in two processes', ({ project, routes, success, others }) => {
  const namespace = scratchNamespace();
  const servers: Server[] = [];

  beforeAll(async () => {
    const consumer = new Consumer(project);
    if (others !== undefined) consumer.install(...others);
    consumer.compile();
    servers.push(await consumer.serve(namespace), await consumer.serve(namespace));
  });

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });

  it.each(routes)('answers 200 to the first at %s, busy to all others meanwhile, then 200 again', async (route) => {
    const [here, there] = servers as [Server, Server];
    const finish = await here.postAndWork(route);
    expect(await there.post(route)).toEqual(busy);
    expect(await here.post(route)).toEqual(busy);
    expect(await finish()).toEqual(done(success));

    const finishThere = await there.postAndWork(route);
    expect(await here.post(route)).toEqual(busy);
    expect(await finishThere()).toEqual(done(success));
  });

  it('leaves an error to the framework, and the lock free for the next', async () => {
    const [here, there] = servers as [Server, Server];
    await expect.poll(() => here.post('/fails')).toMatchObject({ status: 418 });
    const route = routes.at(-1)!;
    const finish = await there.postAndWork(route);
    expect(await finish()).toEqual(done(success));
  });
});
