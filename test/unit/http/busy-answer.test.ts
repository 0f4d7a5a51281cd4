// What a client is told when somebody else has the lock.

import { Agent, request as send } from 'node:http';

import request from 'supertest';
import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import type { FileLockOptions } from '../../../src/http/node/types.js';
import { fakeStore } from '../../support/fake-store.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';

const taken = fakeStore({ trySync: () => null });

function busyApp(options: FileLockOptions = {}) {
  return express5App(fileLock({ store: taken, name: 'report', ...options }) as Handler, () => {
    throw new Error('the handler ran');
  });
}

describe('The answer "busy"', () => {
  it('is a plain text that says when to come again and is not to be stored', async () => {
    const answer = await request(busyApp()).get('/').expect(503, 'busy');

    expect(answer.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '4',
      'retry-after': '1',
      'cache-control': 'no-store',
    });
  });

  it.each([
    'application/json',
    'application/problem+json',
    'application/json, text/plain, */*',
    'text/plain;q=0.5, application/json',
    'text/html, application/json',
  ])('is a problem document for a client that accepts "%s"', async (accept) => {
    const answer = await request(busyApp()).get('/').set('Accept', accept).expect(503);

    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'retry-after': '1',
      'cache-control': 'no-store',
    });
    expect(answer.body).toEqual({ type: 'about:blank', title: 'Service Unavailable', status: 503, detail: 'busy' });
  });

  it.each([
    '*/*',
    'text/plain',
    'text/html,application/xhtml+xml,*/*;q=0.8',
    'text/plain, application/json',
    'image/png',
    ';',
  ])('is a plain text for a client that accepts "%s"', async (accept) => {
    await request(busyApp())
      .get('/')
      .set('Accept', accept)
      .expect(503, 'busy')
      .expect('Content-Type', /^text\/plain/);
  });

  it('has no body for HEAD, and the connection goes on', async () => {
    const client = new RawClient(await listen(busyApp())).request('HEAD', '/').request('HEAD', '/');

    await expect.poll(() => client.statuses).toEqual([503, 503]);
    expect(client.received).toContain('Content-Length: 4');
    expect(client.received).not.toContain('busy');
  });

  it('has the status, the time and the message of the options', async () => {
    const options = { status: 423, retryAfterS: 60, message: 'Bitte später' };
    const app = busyApp(options);

    await request(app).get('/').expect(423, 'Bitte später').expect('Retry-After', '60');
    const { body } = await request(app).get('/').set('Accept', 'application/json');
    expect(body).toEqual({ type: 'about:blank', title: 'Locked', status: 423, detail: 'Bitte später' });
  });

  it('leaves the connection usable after a body that nobody read', async () => {
    const port = await listen(busyApp());
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    const post = () =>
      new Promise<number | undefined>((resolve, reject) => {
        const sent = send({ port, agent, method: 'POST' }, (res) => {
          ports.add(res.socket.localPort);
          res.resume().on('end', () => resolve(res.statusCode));
        });
        sent.on('error', reject).end(Buffer.alloc(1024 * 1024));
      });

    expect([await post(), await post(), await post()]).toEqual([503, 503, 503]);
    expect(ports.size, 'all came over one connection').toBe(1);
    agent.destroy();
  });
});

describe('onBusy', () => {
  it('answers alone, and is told the lock’s name', async () => {
    const app = busyApp({
      onBusy: (_req, res, _next, info) => {
        res.statusCode = 409;
        res.end(`try ${info.name} later`);
      },
    });

    const answer = await request(app).get('/').expect(409, 'try report later');
    expect(answer.headers).not.toHaveProperty('retry-after');
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no answer');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no answer'))],
  ])('gives its error to the error handler when it %s', async (_how, onBusy) => {
    await request(busyApp({ onBusy })).get('/').expect(500, 'error handler: no answer');
  });
});
