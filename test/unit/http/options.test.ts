// A middleware with a misread option would protect nothing: whatever is wrong is refused when it is made.

import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import type { LockId } from '../../../src/store.js';
import { fakeStore } from '../../support/fake-store.js';
import { failure } from '../../support/failure.js';

const handler = () => undefined;
const unable = fakeStore({ trySync: () => null }, { wait: false, share: false });

/** A store that tells what it is asked for. */
function recordingStore() {
  const asked: LockId[] = [];
  const store = fakeStore((id) => {
    asked.push(id);
    return { trySync: () => null };
  });
  return { store, asked };
}

describe('fileLock()', () => {
  it('needs no arguments, and asks for one lock', () => {
    const { store, asked } = recordingStore();
    const onBusy = handler;
    const forms = [
      fileLock({ store, onBusy }),
      fileLock(undefined, { store, onBusy, namespace: 'n' }),
      fileLock('reports', { store, onBusy, namespace: 'n', permits: 3 }),
    ];
    const req = new IncomingMessage(new Socket());
    for (const form of forms) void form(req, new ServerResponse(req), handler);

    expect(asked[0]).toMatchObject({ name: 'default', permits: 1, keyed: false });
    expect(asked[1]).toMatchObject({ name: 'default', namespace: 'n', permits: 1, keyed: false });
    expect(asked[2]).toMatchObject({ name: 'reports', namespace: 'n', permits: 3, keyed: false });
    expect(fileLock()).toBeTypeOf('function');
  });

  it('makes a middleware that frameworks do not take for an error handler', () => {
    expect(fileLock().length).toBeLessThan(4);
    expect(locked('x', handler).length).toBeLessThan(4);
  });

  it.each<[object, string]>([
    [{ waitMS: 5 }, 'unknown option "waitMS"'],
    [{ waitMs: -1 }, 'option "waitMs" must be a whole number from 0 to 2147483647'],
    [{ waitMs: Infinity }, 'option "waitMs" must be'],
    [{ mode: 'read' }, `option "mode" must be 'exclusive' or 'shared', or a function`],
    [{ mode: 'shared', permits: 2 }, `option "mode" must be 'exclusive' or absent with 2 permits`],
    [{ mode: () => 'shared', permits: 2 }, `option "mode" must be 'exclusive' or absent with 2 permits`],
    [{ store: unable, waitMs: 5 }, 'option "waitMs" must be 0 or absent with a store that cannot wait'],
    [{ store: unable, mode: 'shared' }, `option "mode" must be 'exclusive' or absent with a store that cannot`],
    [{ store: unable, mode: () => 'shared' }, `option "mode" must be 'exclusive' or absent with a store`],
    [{ name: '' }, 'option "name" must be a non-empty string, or a function'],
    [{ name: 5 }, 'option "name" must be'],
    [{ namespace: '' }, 'option "namespace" must be a non-empty string'],
    [{ permits: 0 }, 'option "permits" must be a whole number from 1 to'],
    [{ status: 200 }, 'option "status" must be a whole number from 400 to 599'],
    [{ status: 600 }, 'option "status" must be'],
    [{ retryAfterS: -1 }, 'option "retryAfterS" must be'],
    [{ retryAfterS: 0.5 }, 'option "retryAfterS" must be'],
    [{ message: '' }, 'option "message" must be a non-empty string'],
    [{ onBusy: 'busy' }, 'option "onBusy" must be a function'],
    [{ skip: true }, 'option "skip" must be a function'],
    [{ orphanAfterMs: 2 ** 31 }, 'option "orphanAfterMs" must be a whole number from 0 to 2147483647'],
    [{ orphanAfterMs: Infinity }, 'option "orphanAfterMs" must be'],
    [{ store: {} }, 'option "store" must be a store'],
    [{ onBusy: handler, status: 500 }, 'option "status" has no effect beside "onBusy"'],
    [{ onBusy: handler, retryAfterS: 5 }, 'option "retryAfterS" has no effect beside "onBusy"'],
    [{ onBusy: handler, message: 'no' }, 'option "message" has no effect beside "onBusy"'],
  ])('refuses %o', (options, message) => {
    const expected = { code: 'ERR_SEMLOCK_OPTION', message: expect.stringContaining(`fileLock(): ${message}`) };
    expect(failure(() => fileLock(options))).toMatchObject(expected);
  });

  it.each<[string, unknown[], string]>([
    ['a name given twice', ['a', { name: 'b' }], 'the name was given twice'],
    ['options given twice', [{ status: 500 }, { permits: 2 }], 'the options were given twice'],
    ['a request, by app.use(fileLock)', [{ url: '/' }, {}, () => undefined], 'write fileLock(), with its parentheses'],
    ['a name that is a number', [5], 'the options must be an object, but 5 was given'],
    ['null', [null], 'the options must be an object, but null was given'],
    ['options that are no object', ['a', 'b'], 'the options must be an object, but "b" was given'],
  ])('refuses %s', (_what, args, message) => {
    const make = fileLock as (...args: unknown[]) => unknown;
    const expected = { code: 'ERR_SEMLOCK_OPTION', message: expect.stringContaining(message) };
    expect(failure(() => make(...args))).toMatchObject(expected);
  });

  it('refuses an empty name as a lock does', () => {
    expect(failure(() => fileLock(''))).toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
  });

  it('takes what says nothing new with a store that neither waits nor shares', () => {
    expect(fileLock({ store: unable, waitMs: 0, mode: 'exclusive' })).toBeTypeOf('function');
  });

  it('takes undefined for absent', () => {
    expect(fileLock({ name: undefined, onBusy: undefined, status: undefined, skip: undefined })).toBeTypeOf('function');
  });
});

describe('locked()', () => {
  const make = locked as (...args: unknown[]) => unknown;

  it.each([undefined, '', 5, null])('refuses the name %o', (name) => {
    expect(failure(() => make(name, handler))).toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
  });

  it.each([undefined, 'handler', {}])('refuses the handler %o', (wrong) => {
    expect(failure(() => make('report', wrong))).toBeInstanceOf(TypeError);
  });

  it.each([{ name: 'again' }, { waitMs: 0.5 }, { mode: 5 }, { status: 302 }, { onBusy: handler, message: 'no' }])(
    'refuses the options %o',
    (options) => {
      expect(failure(() => make('report', handler, options))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    },
  );
});
