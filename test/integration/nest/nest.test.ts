// What is NestJS's own way with locks. What clients see is tested with the other frameworks.

import { setTimeout as sleep } from 'node:timers/promises';

import {
  ConflictException,
  Controller,
  Get,
  type DynamicModule,
  type ExecutionContext,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { Cron, CronExpression, ScheduleModule } from '@nestjs/schedule';
import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { FileLocked, Locked, LockModule, LockService } from '../../../src/nest/index.js';
import { memoryStore } from '../../../src/stores/memory/memory-store.js';
import { decorate } from '../../support/decorate.js';
import { deferred } from '../../support/deferred.js';
import { scratchNamespace } from '../../support/shm.js';
import { tinyStore } from '../../support/tiny-store.js';

const namespace = 'test';

/** An app with these providers and controllers. */
async function appOf(
  parts: Partial<DynamicModule>,
  lockModule = LockModule.forRoot({ namespace, store: memoryStore() }),
) {
  const module = { module: class App {}, ...parts, imports: [lockModule, ...(parts.imports ?? [])] };
  const app = await NestFactory.create(module, new ExpressAdapter(), { logger: false, abortOnError: false });
  onTestFinished(() => app.close());
  return app.init();
}

/** A provider whose method works under a lock until it is told to go on. */
function jobs(decorator: MethodDecorator) {
  const [began, goOn] = [deferred(), deferred()];
  let runs = 0;
  class Jobs {
    async work(_id?: string): Promise<void> {
      runs += 1;
      began.resolve();
      await goOn.promise;
    }
  }
  decorate(Jobs, 'work', [decorator]);
  return { Jobs, began: began.promise, goOn: () => goOn.resolve(), runs: () => runs };
}

describe('@Locked()', () => {
  it('holds a lock of the module for a method of a provider', async () => {
    const store = memoryStore();
    const { Jobs, began, goOn } = jobs(Locked('work') as MethodDecorator);
    const app = await appOf({ providers: [Jobs] }, LockModule.forRoot({ namespace, store }));
    const lock = new Lock('work', { namespace, store });
    const work = app.get(Jobs).work();
    await began;
    expect(lock.tryAcquire()).toBeNull();
    await expect(app.get(Jobs).work()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_BUSY' });
    goOn();
    await work;
    expect(lock.available).toBe(1);
  });

  it('skips a call while another one is under way, where it is told to', async () => {
    const { Jobs, goOn, runs } = jobs(Locked('work', { onBusy: 'skip' }) as MethodDecorator);
    const app = await appOf({ providers: [Jobs] });
    const first = app.get(Jobs).work();
    await app.get(Jobs).work();
    expect(runs()).toBe(1);
    goOn();
    await first;
    await app.get(Jobs).work();
    expect(runs()).toBe(2);
  });

  it('makes a name from the call, as a lock of its own', async () => {
    const { Jobs, goOn, runs } = jobs(Locked((id: string) => id) as MethodDecorator);
    const app = await appOf({ providers: [Jobs] });
    const both = ['a', 'b'].map((id) => app.get(Jobs).work(id));
    await expect(app.get(Jobs).work('a')).rejects.toMatchObject({ code: 'ERR_SEMLOCK_BUSY', lockName: 'a' });
    goOn();
    await Promise.all(both);
    expect(runs()).toBe(2);
  });

  it('is refused where no module has the locks, and protects nothing in silence', async () => {
    const { Jobs, runs } = jobs(Locked('work') as MethodDecorator);
    const alone = { module: class App {}, providers: [Jobs] };
    const making = NestFactory.createApplicationContext(alone, { logger: false, abortOnError: false });
    await expect(making).rejects.toThrow('LockService');
    await expect(new Jobs().work()).rejects.toBeInstanceOf(TypeError);
    expect(runs()).toBe(0);
    class Static {
      static async work(): Promise<void> {}
    }
    const descriptor = Object.getOwnPropertyDescriptor(Static, 'work')!;
    expect(() => Locked('work')(Static, 'work', descriptor as never)).toThrow(TypeError);
  });
});

describe('@FileLocked()', () => {
  class Controllers {
    answer(): string {
      return 'done';
    }
  }
  const controllers = (...decorators: MethodDecorator[]): Type<Controllers> => {
    class Mine extends Controllers {
      override answer(): string {
        return super.answer();
      }
    }
    decorate(Mine, 'answer', [Get(), ...decorators]);
    Controller()(Mine);
    return Mine;
  };

  it('takes what is not given from the module', async () => {
    const store = memoryStore();
    const held = new Lock('file', { namespace, store }).tryAcquire()!;
    const module = LockModule.forRoot({ namespace, store, status: 423 });
    const app = await appOf({ controllers: [controllers(FileLocked('file'))] }, module);
    await request(app.getHttpServer()).get('/').expect(423, 'busy');
    held.release();
    await request(app.getHttpServer()).get('/').expect(200, 'done');
  });

  it('stands on a controller as a whole, too', async () => {
    const store = memoryStore();
    const held = new Lock('all', { namespace, store }).tryAcquire()!;
    const all = controllers();
    FileLocked('all')(all);
    const app = await appOf({ controllers: [all] }, LockModule.forRoot({ namespace, store }));
    await request(app.getHttpServer()).get('/').expect(503, 'busy');
    held.release();
    await request(app.getHttpServer()).get('/').expect(200);
  });

  it('leaves the answer to an exception, or a value, of onBusy', async () => {
    const store = memoryStore();
    new Lock('file', { namespace, store }).tryAcquire();
    const throwing = FileLocked('file', {
      onBusy: (_context, { name }) => {
        throw new ConflictException(name);
      },
    });
    const giving = FileLocked('file', { onBusy: (context: ExecutionContext) => context.getHandler().name });
    for (const [decorator, status, text] of [
      [throwing, 409, '"message":"file"'],
      [giving, 200, 'answer'],
    ] as const) {
      const app = await appOf({ controllers: [controllers(decorator)] }, LockModule.forRoot({ namespace, store }));
      const answer = await request(app.getHttpServer()).get('/');
      expect(answer).toMatchObject({ status, text: expect.stringContaining(text) as string });
    }
  });

  it('refuses wrong options when the class is defined', () => {
    expect(() => FileLocked({ waitMS: 5 } as never)).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }));
    expect(() => Locked('a', { waitMS: 5 } as never)).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }));
  });
});

describe('LockModule', () => {
  it('takes options from what is injected, and is refused with wrong ones', async () => {
    const NAMESPACE = Symbol('namespace');
    const config = {
      module: class Config {},
      providers: [{ provide: NAMESPACE, useValue: 'injected' }],
      exports: [NAMESPACE],
    };
    const options = { imports: [config], inject: [NAMESPACE] };
    const useFactory = (given: string) => Promise.resolve({ namespace: given, store: memoryStore() });
    const app = await appOf({}, LockModule.forRootAsync({ ...options, useFactory }));
    expect(app.get(LockService).lock('file').namespace).toBe('injected');

    const wrong = LockModule.forRootAsync({ useFactory: () => ({ waitMs: -1 }) });
    await expect(appOf({}, wrong)).rejects.toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    expect(() => LockModule.forRoot({ waitMs: -1 })).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }));
  });

  it('gives a service with the locks of the module', async () => {
    const store = memoryStore();
    const service = (await appOf({}, LockModule.forRoot({ namespace, store }))).get(LockService);
    const held = new Lock('file', { namespace, store }).tryAcquire()!;
    expect(service.lock('file').tryAcquire()).toBeNull();
    expect(await service.run('file', () => 'ran', { ifAvailable: true })).toBeUndefined();
    expect(await service.locks.request('file', { ifAvailable: true }, (lock) => lock)).toBeNull();
    held.release();
    expect(await service.run('file', () => 'ran')).toBe('ran');
    expect(service.semaphore('places', { permits: 3 }).available).toBe(3);
    expect(service.lock({ file: '/tmp/file' }).store).toBe(store);
  });

  it('ends when the methods under way have ended, and closes its store then', async () => {
    const events: string[] = [];
    const store = { ...tinyStore(), close: () => Promise.resolve(void events.push('closed')) };
    const { Jobs, began, goOn } = jobs(Locked('work', { atLeastMs: 100 }) as MethodDecorator);
    const app = await appOf({ providers: [Jobs] }, LockModule.forRoot({ namespace, store }));
    const work = app.get(Jobs).work();
    await began;
    const closing = app.close();
    await sleep(20);
    expect(events).toEqual([]);
    goOn();
    await work;
    events.push('worked');
    await closing;
    expect(events).toEqual(['worked', 'closed']);
    expect(await new Lock('work', { namespace, store }).acquire({ ifAvailable: true })).not.toBeNull();
  });
});

describe('A job of @nestjs/schedule', () => {
  it('runs once in several apps', async () => {
    const where = { namespace: scratchNamespace() };
    const runs: string[] = [];
    const machine = async (name: string, lateMs: number) => {
      class Jobs {
        every(): Promise<void> {
          return new Promise((resolve) => setTimeout(() => void this.work().then(resolve), lateMs));
        }
        async work(): Promise<void> {
          runs.push(name);
          return Promise.resolve();
        }
      }
      decorate(Jobs, 'every', [Cron(CronExpression.EVERY_SECOND)]);
      decorate(Jobs, 'work', [Locked('job', { onBusy: 'skip', atLeastMs: 600 }) as MethodDecorator]);
      return appOf({ providers: [Jobs], imports: [ScheduleModule.forRoot()] }, LockModule.forRoot(where));
    };
    const apps = await Promise.all([machine('one', 0), machine('two', 200)]);
    await expect.poll(() => runs.length, { timeout: 10_000 }).toBe(2);
    await Promise.all(apps.map((app) => app.close()));
    expect(runs).toEqual(['one', 'one']);
  });
});
