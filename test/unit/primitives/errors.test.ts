// What an error tells: its code, its cause, and what was given, in few words.

import { constants } from 'node:os';

import { describe, expect, it } from 'vitest';

import { describe as describeValue, SemlockError, systemError } from '../../../src/errors.js';
import { failureOf } from '../../../src/native.js';

describe('a SemlockError', () => {
  it('is an Error with a code', () => {
    const error = new SemlockError('ERR_SEMLOCK_BUSY', 'held elsewhere');
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'SemlockError', code: 'ERR_SEMLOCK_BUSY' });
    expect(error.lockName).toBeUndefined();
    expect('cause' in error).toBe(false);
  });

  it('says where its code is explained', () => {
    const { message } = new SemlockError('ERR_SEMLOCK_BUSY', 'held elsewhere');
    expect(message).toBe(
      'held elsewhere; see https://github.com/semlock/semlock/blob/main/docs/errors.md#err_semlock_busy',
    );
  });

  it("carries the lock's name and the system's error", () => {
    const cause = systemError(2, 'sem_open');
    const error = new SemlockError('ERR_SEMLOCK_NOT_FOUND', 'no semaphore', { lockName: '/x', cause });
    expect(error.lockName).toBe('/x');
    expect(error.cause).toBe(cause);
  });
});

describe("the system's error", () => {
  it('looks like those of Node.js', () => {
    expect(systemError(13, 'sem_open')).toMatchObject({
      code: 'EACCES',
      errno: -13,
      syscall: 'sem_open',
      message: 'sem_open failed with EACCES',
    });
  });
});

describe('what was given is described', () => {
  class Account {}

  it.each<[unknown, string]>([
    ['text', '"text"'],
    ['', '""'],
    ['a\0"b"\n', '"a\\u0000\\"b\\"\\n"'],
    ['x'.repeat(60), `"${'x'.repeat(60)}"`],
    ['x'.repeat(61), `"${'x'.repeat(57)}..."`],
    [1.5, '1.5'],
    [-0, '0'],
    [NaN, 'NaN'],
    [10n, '10n'],
    [true, 'true'],
    [null, 'null'],
    [undefined, 'undefined'],
    [Symbol('key'), 'Symbol(key)'],
    [() => 1, 'a function'],
    [
      function handler() {
        return 1;
      },
      'function handler',
    ],
    [Account, 'function Account'],
    [[1, 2], 'an array'],
    [{ a: 1 }, 'an object'],
    [Object.create(null), 'an object'],
    [new Account(), 'an instance of Account'],
    [new Map(), 'an instance of Map'],
    [new (class {})(), 'an object'],
    [{ constructor: 'none' }, 'an object'],
  ])('%o', (value, words) => {
    expect(describeValue(value)).toBe(words);
  });
});

describe('a /dev/shm that cannot be used', () => {
  const { ENOENT, EROFS, EACCES } = constants.errno;
  it.each([
    { errno: ENOENT, call: 'open', says: 'there is no /dev/shm' },
    { errno: EROFS, call: 'mkdir', says: '/dev/shm is read-only' },
    { errno: EACCES, call: 'mkdir', says: 'may not write to /dev/shm' },
  ])('is named, with what to do: $says', ({ errno, call, says }) => {
    const { code, message } = failureOf(errno, call, 'report');
    expect([code, message]).toEqual(['ERR_SEMLOCK_SYSTEM', expect.stringContaining(says)]);
    expect(failureOf(ENOENT, 'sem_open', '/x').code, 'of a semaphore').toBe('ERR_SEMLOCK_NOT_FOUND');
  });
});
