import type { IncomingMessage, ServerResponse } from 'node:http';

import connect from 'connect';
import express, { type Request, type RequestHandler, type Response } from 'express';
import {
  fileLock,
  Lock,
  locked,
  NamedSemaphore,
  Semaphore,
  SemlockError,
  ThreadLock,
  type FileLockOptions,
  type Hold,
  type LockStore,
  type SemlockErrorCode,
  type SystemError,
} from 'semlock';
import { describe, expectTypeOf, it } from 'vitest';

// Compiled, and never run. A line that must be refused is one that `@ts-expect-error` stands above.

describe('errors', () => {
  it('have literal codes, so that a misspelled one does not compile', () => {
    expectTypeOf<SemlockErrorCode>().toEqualTypeOf<
      | 'ERR_SEMLOCK_ADDON'
      | 'ERR_SEMLOCK_BUSY'
      | 'ERR_SEMLOCK_CAPACITY'
      | 'ERR_SEMLOCK_CLOSED'
      | 'ERR_SEMLOCK_CORRUPT'
      | 'ERR_SEMLOCK_DEADLOCK'
      | 'ERR_SEMLOCK_EXISTS'
      | 'ERR_SEMLOCK_FORKED'
      | 'ERR_SEMLOCK_GATE'
      | 'ERR_SEMLOCK_GROUP'
      | 'ERR_SEMLOCK_LAYOUT'
      | 'ERR_SEMLOCK_LOST'
      | 'ERR_SEMLOCK_MISMATCH'
      | 'ERR_SEMLOCK_NAMESPACE'
      | 'ERR_SEMLOCK_NAME'
      | 'ERR_SEMLOCK_NOT_A_SEMAPHORE'
      | 'ERR_SEMLOCK_NOT_FOUND'
      | 'ERR_SEMLOCK_NOT_OWNER'
      | 'ERR_SEMLOCK_OPTION'
      | 'ERR_SEMLOCK_OVERFLOW'
      | 'ERR_SEMLOCK_PLATFORM'
      | 'ERR_SEMLOCK_SLOT_LOST'
      | 'ERR_SEMLOCK_STORE'
      | 'ERR_SEMLOCK_SYSTEM'
      | 'ERR_SEMLOCK_TABLE_LOST'
      | 'ERR_SEMLOCK_TIMEOUT'
      | 'ERR_SEMLOCK_UNTRUSTED'
      | 'ERR_SEMLOCK_UPGRADE'
      | 'ERR_SEMLOCK_USER'
    >();
    const error = new SemlockError('ERR_SEMLOCK_BUSY', 'busy');
    // @ts-expect-error -- There is no such code.
    expectTypeOf(error.code === 'ERR_SEMLOCK_BUZY').toBeBoolean();
  });

  it('tell the lock and the cause', () => {
    expectTypeOf<SemlockError>().toExtend<Error>();
    expectTypeOf<SemlockError['name']>().toEqualTypeOf<'SemlockError'>();
    expectTypeOf<SemlockError['lockName']>().toEqualTypeOf<string | undefined>();
    expectTypeOf<SemlockError['cause']>().toEqualTypeOf<SystemError | undefined>();
    expectTypeOf<SystemError['errno']>().toBeNumber();
  });
});

describe('locks', () => {
  it('give what is held, or null, which has to be looked at', () => {
    const held = new Lock('ledger', { namespace: 'bank', posixName: '/ledger' }).tryAcquire();
    expectTypeOf(held).toEqualTypeOf<Hold | null>();
    expectTypeOf(new Semaphore('slots', { permits: 2 }).tryAcquire()).toEqualTypeOf<Hold | null>();
    expectTypeOf(new ThreadLock('here').tryAcquire()).toEqualTypeOf<Hold | null>();
    // @ts-expect-error -- It may be null.
    held.release();
    expectTypeOf<Hold['release']>().returns.toBeBoolean();
    expectTypeOf<Hold['token']>().toBeNumber();
    expectTypeOf<Hold>().toExtend<Disposable & AsyncDisposable>();
  });

  it('run work and give its result, out of its promise', () => {
    const lock = new Lock('ledger');
    expectTypeOf(lock.run(() => 7)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(lock.run(async (held) => Promise.resolve(held.name))).toEqualTypeOf<Promise<string>>();
  });

  it('refuse options that they do not have', () => {
    // @ts-expect-error -- How long to wait is said where it is acquired.
    new Lock('ledger', { timeoutMs: 100 });
    // @ts-expect-error -- A try does not wait.
    new Lock('ledger').tryAcquire({ timeoutMs: 100 });
    // @ts-expect-error -- A semaphore has to be told how many permits it has.
    new Semaphore('slots');
    // @ts-expect-error -- A named semaphore is opened or created.
    new NamedSemaphore('/slots');
  });

  it('come from a store that anybody can write', () => {
    const store: LockStore = {
      name: 'mine',
      can: { sync: false, wait: true, share: false, steal: false, permits: false },
      open: ({ name }) => ({
        acquire: ({ waitMs, signal }) => Promise.resolve({ token: 1, abandoned: false, id: [name, waitMs, signal] }),
        release: ({ token, id }, unused) => Promise.resolve(token === 1 && id !== undefined && !unused),
        onLost: (_grant, tell) => tell('a reason'),
      }),
    };
    expectTypeOf(fileLock({ store })).toBeFunction();
    expectTypeOf(new Lock('ledger', { store })).toExtend<Lock>();
  });
});

describe('the HTTP forms', () => {
  it('fit Express, Connect and plain node:http', () => {
    express().use(fileLock());
    express().use('/reports', fileLock('reports', { status: 423, retryAfterS: 5, message: 'later' }));
    express().use(fileLock({ mode: (req) => (req.method === 'GET' ? 'shared' : 'exclusive'), waitMs: 2_000 }));
    express().post(
      '/report',
      locked('report', async (req, res) => Promise.resolve(res.send(req.lock.name))),
    );
    connect().use(fileLock());
    const middleware = fileLock();
    expectTypeOf(middleware).toBeCallableWith({} as IncomingMessage, {} as ServerResponse, () => undefined);
  });

  it('give callbacks the parameters of a route as strings, and leave handlers theirs', () => {
    express().put('/files/:name', fileLock({ name: (req) => req.params['name']! }), (req, res) => {
      expectTypeOf(req.params).toEqualTypeOf<{ name: string }>();
      res.send(req.lock.name);
    });
    const read = locked(
      (req) => req.params['name']!,
      (req, res) => res.send(req.params['name']),
    );
    express().get('/files/:name', read);
    express().get('/files/*path', fileLock({ name: (req: Request) => [req.params['path']].flat().join('/') }));
    // @ts-expect-error -- Those that a callback's own type says may be arrays.
    fileLock({ name: (req: Request) => req.params['path'] });
  });

  it('take functions that are written for the requests of Express', () => {
    const nameOf = (req: Request) => req.path;
    const options: FileLockOptions = { name: nameOf, skip: (req) => nameOf(req) === '' };
    const handler = (req: Request, res: Response) => res.send(req.path);
    const anyHandler: RequestHandler = handler;
    express().get('/files/:name', fileLock(options), locked(nameOf, handler), locked('report', anyHandler));
  });

  it('refuse options that they do not have', () => {
    // @ts-expect-error -- Which requests read is not known from a word alone.
    fileLock({ mode: 'GET' });
    // @ts-expect-error -- A name is a string, or a function that makes one.
    fileLock(7);
    // @ts-expect-error -- Without a handler there is nothing to lock.
    locked('report');
  });
});
