// NamedSemaphore does what POSIX says of sem_open and its family, and what POSIX leaves to luck is an error.

import { statSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { SemlockError } from '../../../src/errors.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';
import { failure } from '../../support/failure.js';
import { runModule } from '../../support/run-program.js';
import { backingFile, scratchSemaphore } from '../../support/semaphore-name.js';

const SEM_VALUE_MAX = 2_147_483_647;

describe('the value', () => {
  it('goes down to 0 with each wait and up again with each post', () => {
    using semaphore = NamedSemaphore.create(scratchSemaphore(), { value: 2 });
    expect(semaphore.value).toBe(2);
    expect(semaphore.tryWait()).toBe(true);
    expect(semaphore.value).toBe(1);
    expect(semaphore.tryWait()).toBe(true);
    expect(semaphore.value).toBe(0);
    semaphore.post();
    expect(semaphore.value).toBe(1);
    semaphore.post();
    expect(semaphore.value).toBe(2);
  });

  it('refuses a wait at 0 and stays there', () => {
    using semaphore = NamedSemaphore.create(scratchSemaphore(), { value: 0 });
    expect(semaphore.tryWait()).toBe(false);
    expect(semaphore.value).toBe(0);
  });

  it('grows beyond the initial value, because anyone may post', () => {
    using semaphore = NamedSemaphore.create(scratchSemaphore(), { value: 2 });
    semaphore.post();
    semaphore.post();
    expect(semaphore.value).toBe(4);
  });

  it.each([0, 1, 7, SEM_VALUE_MAX])('starts at %i when it is told to', (value) => {
    using semaphore = NamedSemaphore.create(scratchSemaphore(), { value });
    expect(semaphore.value).toBe(value);
  });

  it('starts at 1 when it is told nothing', () => {
    using semaphore = NamedSemaphore.create(scratchSemaphore());
    expect(semaphore.value).toBe(1);
  });

  it('cannot exceed SEM_VALUE_MAX', () => {
    using semaphore = NamedSemaphore.create(scratchSemaphore(), { value: SEM_VALUE_MAX });
    expect(failure(() => semaphore.post())).toMatchObject({
      code: 'ERR_SEMLOCK_OVERFLOW',
      lockName: semaphore.name,
      cause: { code: 'EOVERFLOW', syscall: 'sem_post' },
    });
    expect(semaphore.value).toBe(SEM_VALUE_MAX);
  });

  it('cannot exceed maxValue, as in a bounded semaphore', () => {
    using semaphore = NamedSemaphore.create(scratchSemaphore(), { value: 2, maxValue: 2 });
    expect(failure(() => semaphore.post())).toMatchObject({ code: 'ERR_SEMLOCK_OVERFLOW' });
    expect(semaphore.value).toBe(2);
    semaphore.tryWait();
    semaphore.post();
    expect(semaphore.value).toBe(2);
  });

  it('is bounded by maxValue for one that was opened, too', () => {
    const name = scratchSemaphore();
    using created = NamedSemaphore.create(name, { value: 1 });
    using opened = NamedSemaphore.open(name, { maxValue: 1 });
    expect(failure(() => opened.post())).toMatchObject({ code: 'ERR_SEMLOCK_OVERFLOW' });
    created.post();
    expect(opened.value).toBe(2);
  });

  it.each([-1, SEM_VALUE_MAX + 1, 1.5, NaN, Infinity, '1', null, 1n])('cannot start at %s', (value) => {
    const name = scratchSemaphore();
    for (const create of [NamedSemaphore.create, NamedSemaphore.createExclusive]) {
      expect(failure(() => create(name, { value } as never))).toMatchObject({
        code: 'ERR_SEMLOCK_OPTION',
        message: expect.stringContaining('"value" must be a whole number from 0 to 2147483647'),
      });
    }
    expect(failure(() => NamedSemaphore.open(name))).toMatchObject({ code: 'ERR_SEMLOCK_NOT_FOUND' });
  });

  it('cannot start above maxValue', () => {
    expect(failure(() => NamedSemaphore.create('/x', { value: 3, maxValue: 2 }))).toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
      message: expect.stringContaining('"maxValue" must be at least the value, 3'),
    });
  });
});

describe('the name', () => {
  const named: [string, (name: string) => unknown][] = [
    ['open', (name) => NamedSemaphore.open(name)],
    ['create', (name) => NamedSemaphore.create(name)],
    ['createExclusive', (name) => NamedSemaphore.createExclusive(name)],
    ['unlink', (name) => NamedSemaphore.unlink(name)],
  ];
  const wrong: [unknown, string][] = [
    ['', 'does not start with a slash'],
    ['name', 'does not start with a slash'],
    ['/', 'has nothing after the slash'],
    ['//', 'has a second slash'],
    ['/a/b', 'has a second slash'],
    ['/a/', 'has a second slash'],
    ['/../etc/passwd', 'has a second slash'],
    ['/a\0b', 'has a NUL'],
    ['/\ud800', 'has a lone surrogate'],
    ['/a\udc00b', 'has a lone surrogate'],
    [`/${'x'.repeat(252)}`, 'has 253 bytes'],
    [`/${'é'.repeat(126)}`, 'has 253 bytes'],
    [undefined, 'is not a string'],
    [null, 'is not a string'],
    [7, 'is not a string'],
    [['/a'], 'is not a string'],
  ];

  it.each(named)('of %s() is checked before the system sees it', (method, use) => {
    for (const [name, problem] of wrong) {
      const error = failure(() => use(name as string));
      expect(error).toBeInstanceOf(SemlockError);
      expect(error).toMatchObject({ code: 'ERR_SEMLOCK_NAME', message: expect.stringContaining(problem) });
      expect(error).toMatchObject({ message: expect.stringContaining(`NamedSemaphore.${method}()`) });
    }
  });

  it.each([
    ['251 bytes', 'x'],
    ['251 bytes in letters of two bytes', 'é'],
    ['251 bytes in emoji', '🔒'],
    ['dots', '.'],
  ])('may have %s', (_what, letter) => {
    const start = scratchSemaphore();
    const room = 252 - start.length;
    const width = Buffer.byteLength(letter);
    const name = start + letter.repeat(Math.floor(room / width)) + 'x'.repeat(room % width);
    expect(Buffer.byteLength(name)).toBe(252);
    NamedSemaphore.createExclusive(name).close();
    NamedSemaphore.open(name).close();
    NamedSemaphore.unlink(name);
  });
});

describe('open, create and createExclusive', () => {
  it('open only what exists', () => {
    const name = scratchSemaphore();
    const error = failure(() => NamedSemaphore.open(name));
    expect(error).toBeInstanceOf(SemlockError);
    expect(error).toMatchObject({
      code: 'ERR_SEMLOCK_NOT_FOUND',
      lockName: name,
      cause: { code: 'ENOENT', errno: -2, syscall: 'sem_open' },
    });
  });

  it('create one that does not exist, and open one that does without touching its value', () => {
    const name = scratchSemaphore();
    using first = NamedSemaphore.create(name, { value: 3 });
    using second = NamedSemaphore.create(name, { value: 9 });
    expect(second.value).toBe(3);
    expect(first.tryWait()).toBe(true);
    expect(second.value).toBe(2);
  });

  it('create exclusively only what does not exist', () => {
    const name = scratchSemaphore();
    using first = NamedSemaphore.createExclusive(name, { value: 3 });
    expect(failure(() => NamedSemaphore.createExclusive(name))).toMatchObject({
      code: 'ERR_SEMLOCK_EXISTS',
      lockName: name,
      cause: { code: 'EEXIST', syscall: 'sem_open' },
    });
    expect(first.value).toBe(3);
  });

  it('create it for this user alone by default', () => {
    const name = scratchSemaphore();
    NamedSemaphore.create(name).close();
    expect(statSync(backingFile(name)).mode & 0o777).toBe(0o600);
  });

  it('create it with the mode that is asked for, less the umask', () => {
    const name = scratchSemaphore();
    // A worker thread, in which this test may run, cannot change the umask.
    const create = `
      import { NamedSemaphore } from 'semlock';
      process.umask(0o027);
      NamedSemaphore.create(process.argv[1], { mode: 0o660 });
    `;
    expect(runModule(create, [name]).stderr).toBe('');
    expect(statSync(backingFile(name)).mode & 0o777).toBe(0o640);
  });

  it('give its owner access whatever the umask, or nobody could open it ever again', () => {
    const name = scratchSemaphore();
    const create = `
      import { NamedSemaphore } from 'semlock';
      process.umask(0o777);
      NamedSemaphore.create(process.argv[1]);
    `;
    expect(runModule(create, [name]).stderr).toBe('');
    expect(statSync(backingFile(name)).mode & 0o777).toBe(0o600);
  });

  it.each([-1, 0o1000, 1.5, '0600', 0o666, 0o604])('refuse the mode %s', (mode) => {
    expect(failure(() => NamedSemaphore.create('/x', { mode } as never))).toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
      message: expect.stringContaining('"mode"'),
    });
  });

  it('refuse options that they do not have', () => {
    for (const open of [NamedSemaphore.create, NamedSemaphore.createExclusive, NamedSemaphore.open]) {
      expect(failure(() => open('/x', { initial: 1 } as never))).toMatchObject({
        code: 'ERR_SEMLOCK_OPTION',
        message: expect.stringContaining('unknown option "initial"'),
      });
    }
    expect(failure(() => NamedSemaphore.open('/x', { value: 1 } as never))).toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
    });
  });
});

describe('unlink', () => {
  it('removes the name and leaves the semaphore to those who have it open', () => {
    const name = scratchSemaphore();
    using old = NamedSemaphore.create(name, { value: 1 });
    NamedSemaphore.unlink(name);
    expect(failure(() => NamedSemaphore.open(name))).toMatchObject({ code: 'ERR_SEMLOCK_NOT_FOUND' });

    using renewed = NamedSemaphore.createExclusive(name, { value: 5 });
    expect(old.tryWait()).toBe(true);
    expect(old.value).toBe(0);
    expect(renewed.value).toBe(5);
  });

  it('is an error where there is nothing to remove', () => {
    expect(failure(() => NamedSemaphore.unlink(scratchSemaphore()))).toMatchObject({
      code: 'ERR_SEMLOCK_NOT_FOUND',
      cause: { code: 'ENOENT', syscall: 'sem_unlink' },
    });
  });
});

describe('close', () => {
  it.each<[string, (semaphore: NamedSemaphore) => unknown]>([
    ['tryWait', (semaphore) => semaphore.tryWait()],
    ['post', (semaphore) => semaphore.post()],
    ['value', (semaphore) => semaphore.value],
  ])('makes every later %s an error', (_what, use) => {
    const semaphore = NamedSemaphore.create(scratchSemaphore());
    semaphore.close();
    expect(failure(() => use(semaphore))).toMatchObject({ code: 'ERR_SEMLOCK_CLOSED', lockName: semaphore.name });
  });

  it('may be called again', () => {
    const semaphore = NamedSemaphore.create(scratchSemaphore());
    semaphore.close();
    semaphore.close();
  });

  it('happens at the end of a using block', () => {
    let left: NamedSemaphore;
    {
      using semaphore = NamedSemaphore.create(scratchSemaphore());
      left = semaphore;
    }
    expect(failure(() => left.value)).toMatchObject({ code: 'ERR_SEMLOCK_CLOSED' });
  });

  it('keeps name and value for others, also in the same process', () => {
    const name = scratchSemaphore();
    const first = NamedSemaphore.create(name, { value: 2 });
    using second = NamedSemaphore.open(name);
    first.tryWait();
    first.close();
    expect(second.value).toBe(1);
    expect(NamedSemaphore.open(name).tryWait()).toBe(true);
    expect(second.value).toBe(0);
  });

  it('leaves nothing that could reach a semaphore opened later', () => {
    const closed = NamedSemaphore.create(scratchSemaphore(), { value: 1 });
    closed.close();
    using later = NamedSemaphore.create(scratchSemaphore(), { value: 4 });
    closed.close();
    expect(failure(() => closed.tryWait())).toMatchObject({ code: 'ERR_SEMLOCK_CLOSED' });
    expect(later.value).toBe(4);
  });
});
