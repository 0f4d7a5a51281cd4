// `req.lock`, which an app may have a use of its own for.

import express from 'express';
import request from 'supertest';
import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import type { Held } from '../../../src/hold.js';
import { frameworks, type Handler } from '../../support/http-frameworks.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const guard = (name: string) => fileLock(name, { namespace });
const answerName: Handler = (req, res) => void res.end(req.lock.name);

describe('req.lock', () => {
  it.each(frameworks)('is what the request holds in $name', async ({ app }) => {
    await request(app(guard('a') as Handler, answerName))
      .get('/')
      .expect(200, 'a');
  });

  it('is undefined in Express where nothing is held, also for a request beside one that holds', async () => {
    const app = express().get('/other', (req, res) => void res.json((req.lock as Held | undefined) === undefined));
    app.get('/', guard('a'), async (_req, res) => {
      await request(app).get('/other').expect(200, 'true');
      res.end();
    });
    await request(app).get('/').expect(200);
  });

  it('is found in the apps above and below the one that has the lock', async () => {
    const names: (string | undefined)[] = [];
    const note: express.RequestHandler = (req, _res, next) => {
      names.push((req.lock as Held | undefined)?.name);
      next();
    };
    const inner = express().use(note, guard('b'), note);
    const app = express()
      .use(guard('a'), inner, note)
      .get('/', (_req, res) => void res.end());

    await request(app).get('/').expect(200);
    expect(names).toEqual(['a', 'b', 'b']);
  });

  it.each([['before the lock is taken'], ['after it was taken']])('can be set by the app %s', async (when) => {
    const assign: express.RequestHandler = (req, _res, next) => {
      Object.assign(req, { lock: 'mine' });
      next();
    };
    const around = when === 'after it was taken' ? [guard('a'), assign] : [assign];
    const seen: unknown[] = [];
    const note: express.RequestHandler = (req, _res, next) => {
      seen.push(req.lock);
      next();
    };
    const app = express().get('/', ...around, note, guard('b'), answerName as never);

    await request(app).get('/').expect(200, 'b');
    expect(seen).toEqual(['mine']);
  });

  it('is what the request holds, also where the app has given that name to all requests', async () => {
    const app = express();
    Object.assign(app.request, { lock: 'of the app' });
    app.get('/', guard('a'), answerName as never);
    await request(app).get('/').expect(200, 'a');
  });
});
