// Names that are made from the request, and requests that need no lock: whatever goes wrong, no handler runs unprotected.

import express, { type ErrorRequestHandler } from 'express';
import request from 'supertest';
import { describe, expect, it } from 'vitest';

import type { SemlockError } from '../../../src/errors.js';
import { fileLock } from '../../../src/http/node/file-lock.js';
import type { FileLockOptions } from '../../../src/http/node/types.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();

/** An app that says which lock the request has. */
function appWith(options: FileLockOptions) {
  return express5App(fileLock({ namespace, ...options }) as Handler, (req, res) => {
    res.end((req.lock as { name: string } | undefined)?.name ?? 'no lock');
  });
}

const fail = (): never => {
  throw new Error('no name');
};

const rejectWith = (reason: unknown) => () => Promise.reject(reason);

describe('A name made from the request', () => {
  it.each<[string, FileLockOptions['name']]>([
    ['a string', (req) => `file:${req.url}`],
    ['a promise of one', (req) => Promise.resolve(`file:${req.url}`)],
  ])('is %s', async (_kind, name) => {
    await request(appWith({ name })).get('/a').expect(200, 'file:/a');
  });

  it('excludes requests of the same name alone', async () => {
    const app = appWith({ name: (req) => req.url });
    const elsewhere = new Lock('/a', { namespace }).tryAcquire();

    await request(app).get('/a').expect(503, 'busy');
    await request(app).get('/b').expect(200, '/b');
    elsewhere?.release();
    await request(app).get('/a').expect(200, '/a');
  });

  it.each<[string, unknown, string]>([
    ['throws', fail, 'no name'],
    ['rejects', () => Promise.reject(new Error('no name')), 'no name'],
    ['throws what routers take for "no error"', rejectWith('router'), '"router" was thrown'],
    ['rejects without a reason', rejectWith(undefined), 'undefined was thrown'],
    ['gives nothing', () => undefined, 'the name must be a non-empty string, but undefined was given'],
    ['gives an empty string', () => '', 'the name must be a non-empty string, but "" was given'],
    ['gives a promise of a number', () => Promise.resolve(5), 'the name must be a non-empty string, but 5 was given'],
  ])('goes to the error handler when the function %s', async (_what, name, message) => {
    const response = await request(appWith({ name: name as never })).get('/');

    expect(response.status).toBe(500);
    expect(response.text).toContain(message);
  });

  it('goes to the error handler when it is the array that a wildcard of Express 5 gives', async () => {
    const app = express();
    app.get('/files/*path', fileLock({ namespace, name: (req) => req.params['path']! }), (_req, res) => {
      res.send('unprotected');
    });
    const answerError: ErrorRequestHandler = (error: SemlockError, _req, res, _next) => {
      res.status(500).send(`${error.code}: ${error.message}`);
    };
    app.use(answerError);

    const response = await request(app).get('/files/a/b').expect(500);
    expect(response.text).toMatch(
      /^ERR_SEMLOCK_NAME: fileLock\(\): the name must be a non-empty string, but .* was given;/,
    );
  });

  it('keeps the status that its error has', async () => {
    const name = () => Promise.reject(Object.assign(new Error('unknown file'), { status: 404 }));

    await request(appWith({ name })).get('/').expect(404, 'error handler: unknown file');
  });

  it('rejects the wrapped handler’s promise where there is no next', async () => {
    const handler = locked(
      () => Promise.reject(new Error('no name')),
      () => undefined,
      { namespace },
    );
    const open = { writableEnded: false, destroyed: false };

    await expect(handler({ socket: {} } as never, open as never)).rejects.toThrow('no name');
    expect(() => locked(fail, () => undefined, { namespace })({} as never, open as never)).toThrow('no name');
  });
});

describe('skip', () => {
  it.each<[string, FileLockOptions['skip']]>([
    ['true', (req) => req.method === 'GET'],
    ['a promise of true', (req) => Promise.resolve(req.method === 'GET')],
  ])('lets the requests pass for which it gives %s', async (_what, skip) => {
    const elsewhere = new Lock('skip', { namespace }).tryAcquire();
    const app = appWith({ name: 'skip', skip });

    await request(app).get('/').expect(200, 'no lock');
    await request(app).put('/').expect(503, 'busy');
    elsewhere?.release();
  });

  it.each<[string, FileLockOptions['skip']]>([
    ['throws', fail],
    ['rejects', () => Promise.reject(new Error('no name'))],
  ])('goes to the error handler when it %s', async (_what, skip) => {
    await request(appWith({ skip })).get('/').expect(500, 'error handler: no name');
  });
});
