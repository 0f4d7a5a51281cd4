import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { connect, type AddressInfo, type Socket } from 'node:net';

import express, { type ErrorRequestHandler } from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';

import { FileLocked } from '../../../src/decorators/file-locked.js';
import { Lock } from '../../../src/lock.js';
import { fakeStore } from '../../support/fake-store.js';
import { deferred } from '../../support/deferred.js';
import { failure } from '../../support/failure.js';
import { scratchNamespace } from '../../support/shm.js';
import { flavour, type AnyDecorator } from './flavour.js';

const express4 = createRequire(import.meta.url)('express4') as typeof express;

const namespace = scratchNamespace();
const hold = (name: string) => new Lock(name, { namespace }).tryAcquire()!;
const isFree = (name: string): boolean => new Lock(name, { namespace }).tryAcquire()?.release() ?? false;

/** Serves until the test is over; gives the URL. */
async function serve(listener: (req: IncomingMessage, res: ServerResponse) => unknown): Promise<string> {
  const server = createServer((req, res) => void listener(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Asks, and can leave before the answer. */
function impatientClient(url: string): Socket {
  const client = connect(Number(new URL(url).port), '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
  return client;
}

async function answer(url: string) {
  const response = await fetch(url);
  return { status: response.status, body: await response.text() };
}

/** What a call gave to its caller, as a framework would see it. */
async function outcome(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return { thrown: error };
  }
}

describe(`@FileLocked(), compiled to the ${flavour} flavour`, () => {
  it('calls the method with the lock held, and releases it when the response is over', async () => {
    const work = deferred();
    class Reports {
      readonly done = 'done';
      @FileLocked('held', { namespace })
      async create(_req: IncomingMessage, res: ServerResponse) {
        await work.promise;
        res.end(this.done);
      }
    }
    const reports = new Reports();
    const url = await serve((req, res) => reports.create(req, res));

    const first = answer(url);
    await expect.poll(() => isFree('held')).toBe(false);
    expect(await answer(url)).toEqual({ status: 503, body: 'busy' });
    work.resolve();
    expect(await first).toEqual({ status: 200, body: 'done' });
    await expect.poll(() => isFree('held')).toBe(true);
  });

  it('does not call the method while the lock is held, and then gives the response, once it is over', async () => {
    let calls = 0;
    class Reports {
      @FileLocked('busy', { namespace })
      static create(_req: IncomingMessage, _res: ServerResponse) {
        calls += 1;
      }
    }
    const given = deferred<boolean>();
    const url = await serve(async (req, res) => {
      const result = await outcome(() => Reports.create(req, res));
      given.resolve(result === res && res.writableFinished);
    });
    const held = hold('busy');
    expect(await answer(url)).toEqual({ status: 503, body: 'busy' });
    expect(await given.promise).toBe(true);
    expect(calls).toBe(0);
    held.release();
  });

  it('finds the response wherever it is, and takes no parsed body for one', async () => {
    class Reports {
      @FileLocked('anywhere', { namespace })
      create(body: object, res: ServerResponse, id: string) {
        res.end(`${id} ${JSON.stringify(body)} ${String(isFree('anywhere'))}`);
      }
    }
    const forged = { writeHead: 'forged' };
    const url = await serve((_req, res) => new Reports().create(forged, res, '7'));
    expect(await answer(url)).toEqual({ status: 200, body: `7 ${JSON.stringify(forged)} false` });
  });

  it('throws a TypeError when no argument is a response, and does not call the method', () => {
    let calls = 0;
    class Reports {
      @FileLocked({ namespace })
      create(..._args: unknown[]) {
        calls += 1;
      }
    }
    const create = () => new Reports().create({ end: '' }, null, () => undefined);
    expect(create).toThrow(TypeError);
    expect(create).toThrow('@FileLocked() found no response among the arguments');
    expect(calls).toBe(0);
  });

  it('leaves a method that is not async so: what it returns or throws comes at once', async () => {
    class Reports {
      @FileLocked('at-once', { namespace })
      create(res: ServerResponse, fail: boolean) {
        if (fail) throw new RangeError('no such report');
        res.end();
        return 'created';
      }
    }
    const seen = deferred<unknown>();
    const url = await serve((_req, res) => {
      const failed = failure(() => new Reports().create(res, true));
      seen.resolve([failed, isFree('at-once'), new Reports().create(res, false)]);
    });
    await answer(url);
    expect(await seen.promise).toEqual([new RangeError('no such report'), true, 'created']);
  });

  it('rejects as the method does, with the lock released', async () => {
    class Reports {
      @FileLocked('rejects', { namespace })
      async create(_res: ServerResponse) {
        await new Promise(setImmediate);
        throw new RangeError('no such report');
      }
    }
    const seen = deferred<unknown>();
    const url = await serve(async (_req, res) => {
      const rejection = await outcome(() => new Reports().create(res));
      seen.resolve([rejection, isFree('rejects')]);
      res.end();
    });
    await answer(url);
    expect(await seen.promise).toEqual([{ thrown: new RangeError('no such report') }, true]);
  });

  it('throws the error of a lock that cannot be had, and does not call the method', async () => {
    class Reports {
      @FileLocked({
        namespace,
        store: fakeStore({
          trySync() {
            throw new Error('the store is down');
          },
        }),
      })
      create(_res: ServerResponse): void {
        throw new Error('was called');
      }
    }
    const seen = deferred<unknown>();
    const url = await serve((_req, res) => {
      try {
        new Reports().create(res);
      } catch (error) {
        seen.resolve(error);
      }
      res.end();
    });
    await answer(url);
    expect(await seen.promise).toMatchObject({ message: 'the store is down', status: 503 });
  });

  it('lets a request through to a second method under the lock that it holds', async () => {
    class Reports {
      @FileLocked('nested', { namespace })
      outer(res: ServerResponse) {
        this.inner(res);
      }
      @FileLocked('nested', { namespace })
      inner(res: ServerResponse) {
        res.end('inner');
      }
    }
    const url = await serve((_req, res) => new Reports().outer(res));
    expect(await answer(url)).toEqual({ status: 200, body: 'inner' });
  });

  it('checks its options where it is written', () => {
    const bare = FileLocked as AnyDecorator;
    expect(() => bare({ waitMS: 100 })).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }));
    const define = () => {
      class Reports {
        @bare
        create() {}
      }
      return Reports;
    };
    expect(define).toThrow(expect.objectContaining({ name: 'SemlockError' }));
  });
});

describe(`@FileLocked() with a name that takes its time, compiled to the ${flavour} flavour`, () => {
  class Reports {
    @FileLocked({ namespace, name: async (req) => Promise.resolve(`later:${req.url}`) })
    create(res: ServerResponse) {
      res.end(String(isFree('later:/')));
      return 'created';
    }

    @FileLocked({ namespace, name: async () => Promise.reject(new RangeError('no such file')) })
    nameless(...[, res]: [req: unknown, res: ServerResponse, next?: unknown]) {
      res.end();
    }

    @FileLocked({ namespace, name: async () => Promise.resolve('later:throws') })
    throws(..._args: [req: unknown, res: ServerResponse, next?: unknown]): void {
      throw new RangeError('no such report');
    }
  }
  const reports = new Reports();

  it('gives a promise of what the method returns', async () => {
    const seen = deferred<unknown>();
    const url = await serve((_req, res) => seen.resolve(reports.create(res)));
    expect(await answer(url)).toEqual({ status: 200, body: 'false' });
    expect(await seen.promise).toBe('created');
  });

  it.each(['nameless', 'throws'] as const)('rejects when there is no next: %s', async (method) => {
    const seen = deferred<unknown>();
    const url = await serve(async (req, res) => {
      seen.resolve(await outcome(() => reports[method](req, res)));
      res.end();
    });
    await answer(url);
    expect(await seen.promise).toEqual({ thrown: expect.any(RangeError) });
  });

  it.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('reaches the error handler of %s, which ends the request and so releases the lock', async (_name, framework) => {
    const answerError: ErrorRequestHandler = (error: Error, _req, res, _next) => {
      res.status(500).send(`${error.name}: ${error.message}`);
    };
    const app = framework();
    app.get('/nameless', reports.nameless.bind(reports));
    app.get('/throws', reports.throws.bind(reports));
    app.use(answerError);
    const url = await serve(app);
    expect(await answer(`${url}nameless`)).toEqual({ status: 500, body: 'RangeError: no such file' });
    expect(await answer(`${url}throws`)).toEqual({ status: 500, body: 'RangeError: no such report' });
    await expect.poll(() => isFree('later:throws')).toBe(true);
  });

  it('gives the response and does not call the method when the client leaves before the name is there', async () => {
    const asked = deferred();
    const name = deferred<string>();
    let calls = 0;
    class Slow {
      @FileLocked({
        namespace,
        name: async () => {
          asked.resolve();
          return name.promise;
        },
      })
      create(_res: ServerResponse) {
        calls += 1;
      }
    }
    const seen = deferred<boolean>();
    const url = await serve(async (_req, res) => {
      const result = await outcome(() => new Slow().create(res));
      seen.resolve(result === res);
    });
    const client = impatientClient(url);
    await asked.promise;
    client.destroy();
    expect(await seen.promise).toBe(true);
    name.resolve('left');
    await new Promise(setImmediate);
    expect([calls, isFree('left')]).toEqual([0, true]);
  });

  it('gives what the method gives, and not the response, when the client leaves while it works', async () => {
    const working = deferred();
    const work = deferred();
    class Reports {
      @FileLocked({ namespace, name: async () => Promise.resolve('left-working') })
      async create(_res: ServerResponse) {
        working.resolve();
        await work.promise;
        return 'created';
      }
    }
    const closed = deferred();
    const seen = deferred<unknown>();
    const url = await serve(async (_req, res) => {
      res.on('close', () => setImmediate(closed.resolve));
      seen.resolve(await outcome(() => new Reports().create(res)));
      res.end();
    });
    const client = impatientClient(url);
    await working.promise;
    client.destroy();
    await closed.promise;
    expect(isFree('left-working')).toBe(false);
    work.resolve();
    expect(await seen.promise).toBe('created');
    await expect.poll(() => isFree('left-working')).toBe(true);
  });
});

describe(`@FileLocked() with an onBusy that goes on, compiled to the ${flavour} flavour`, () => {
  const held = hold('goes-on');
  const seenBy = async (onBusy: (next: (error?: Error) => void) => void) => {
    class Reports {
      @FileLocked('goes-on', { namespace, onBusy: (_req, _res, next) => onBusy(next) })
      async create(res: ServerResponse) {
        await new Promise(setImmediate);
        res.end('unprotected');
        return 'created';
      }
    }
    const seen = deferred<unknown>();
    const url = await serve(async (_req, res) => {
      seen.resolve(await outcome(() => new Reports().create(res)));
      res.end();
    });
    await answer(url);
    return seen.promise;
  };

  it('gives what the method gives, whether next is called at once or later', async () => {
    expect(held.released).toBe(false);
    expect(await seenBy((next) => next())).toBe('created');
    expect(await seenBy((next) => void setTimeout(next, 5))).toBe('created');
  });

  it('does not call the method any more when the client has left by then', async () => {
    const asked = deferred<() => void>();
    let calls = 0;
    class Reports {
      @FileLocked('goes-on', { namespace, onBusy: (_req, _res, next) => asked.resolve(next) })
      create(_res: ServerResponse) {
        calls += 1;
      }
    }
    const seen = deferred<boolean>();
    const url = await serve(async (_req, res) => {
      seen.resolve((await outcome(() => new Reports().create(res))) === res);
    });
    const client = impatientClient(url);
    const next = await asked.promise;
    client.destroy();
    expect(await seen.promise).toBe(true);
    next();
    expect(calls).toBe(0);
  });

  it('rejects with what next is given, whether at once or later', async () => {
    const refusal = new RangeError('not now');
    expect(await seenBy((next) => next(refusal))).toEqual({ thrown: refusal });
    expect(await seenBy((next) => void setTimeout(() => next(refusal), 5))).toEqual({ thrown: refusal });
    held.release();
  });
});

describe(`@FileLocked() with a time to wait, compiled to the ${flavour} flavour`, () => {
  const calls: unknown[] = [];
  class Reports {
    @FileLocked('waits', { namespace, waitMs: 20_000 })
    create(res: ServerResponse) {
      res.end('created');
      return 'result';
    }

    @FileLocked('waits', { namespace, waitMs: 20 })
    hurry(res: ServerResponse) {
      calls.push('hurried');
      res.end();
    }
  }
  const reports = new Reports();

  /** Serves calls of a method while the lock is held elsewhere; `results` has what they gave to their caller. */
  async function serveHeld(method: 'create' | 'hurry') {
    const held = hold('waits');
    const arrived = deferred();
    const results: unknown[] = [];
    const url = await serve(async (_req, res) => {
      arrived.resolve();
      const result = await outcome(() => reports[method](res));
      results.push(result === res ? 'the response' : result);
    });
    return { url, held, arrived: arrived.promise, results };
  }

  it('calls the method when the lock comes free, and gives its result', async () => {
    const { url, held, arrived, results } = await serveHeld('create');
    const asked = answer(url);
    await arrived;
    expect(results).toEqual([]);
    held.release();
    expect(await asked).toEqual({ status: 200, body: 'created' });
    expect(results).toEqual(['result']);
    await expect.poll(() => isFree('waits')).toBe(true);
  });

  it('answers busy when the time has passed, gives the response, and does not call the method', async () => {
    const { url, held, results } = await serveHeld('hurry');
    expect(await answer(url)).toEqual({ status: 503, body: 'busy' });
    await expect.poll(() => results).toEqual(['the response']);
    held.release();
    expect(calls).toEqual([]);
  });

  it('gives the response and does not call the method when the client leaves while it waits', async () => {
    const { url, held, arrived, results } = await serveHeld('create');
    const client = impatientClient(url);
    await arrived;
    client.destroy();
    await expect.poll(() => results).toEqual(['the response']);
    held.release();
    expect(isFree('waits')).toBe(true);
  });
});
