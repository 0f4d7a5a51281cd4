// Under a semaphore's name there may be a file that is no semaphore. The system maps it unseen, and the first use ends
// the process with SIGBUS; NamedSemaphore looks first. Each case runs in a process of its own, which may die.

import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { runModule, runProgram } from '../../support/run-program.js';
import { backingFile, scratchSemaphore } from '../../support/semaphore-name.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';

const kinds: [string, (path: string) => void][] = [
  ['an empty file', (path) => writeFileSync(path, '')],
  ['a file that is too short', (path) => writeFileSync(path, 'x')],
  ['a file that is too long', (path) => writeFileSync(path, Buffer.alloc(4096))],
  ['a folder', (path) => mkdirSync(path)],
  ['a named pipe', (path) => runProgram('mkfifo', [path])],
  ['a symbolic link to nothing', (path) => symlinkSync(`${path}-nothing`, path)],
  [
    'a symbolic link to a semaphore',
    (path) => {
      const target = scratchSemaphore();
      NamedSemaphore.create(target).close();
      symlinkSync(backingFile(target), path);
    },
  ],
];

/** Opens the semaphore of the given name in the given way, uses it, and prints the code of the error. */
const useIt = `
  import { NamedSemaphore } from 'semlock';
  const [how, name] = process.argv.slice(1);
  try {
    const semaphore = NamedSemaphore[how](name);
    semaphore.tryWait();
    semaphore.post();
    console.log('used', semaphore.value);
  } catch (error) {
    console.log(error.code, error.lockName);
  }
`;

describe.each(kinds)('%s under the name', (_kind, make) => {
  it.each([
    ['open', 'ERR_SEMLOCK_NOT_A_SEMAPHORE'],
    ['create', 'ERR_SEMLOCK_NOT_A_SEMAPHORE'],
    ['createExclusive', 'ERR_SEMLOCK_EXISTS'],
  ])('makes %s() throw %s', (how, code) => {
    const name = scratchSemaphore();
    make(backingFile(name));
    expect(runModule(useIt, [how, name])).toMatchObject({ stdout: `${code} ${name}\n`, status: 0, signal: null });
  });
});

describe('a file of the right kind', () => {
  it('is used, so that the cases above fail for what they are', () => {
    const name = scratchSemaphore();
    NamedSemaphore.create(name, { value: 3 }).close();
    expect(runModule(useIt, ['open', name])).toMatchObject({ stdout: 'used 3\n', status: 0 });
  });

  it.each([
    ['a second link', (file: string) => linkSync(file, backingFile(scratchSemaphore()))],
    ['access for its group', (file: string) => chmodSync(file, 0o640)],
    ['access for others', (file: string) => chmodSync(file, 0o604)],
  ])('is not trusted with %s', (_what, change) => {
    const name = scratchSemaphore();
    NamedSemaphore.create(name, { value: 3 }).close();
    change(backingFile(name));
    for (const how of ['open', 'create']) {
      expect(runModule(useIt, [how, name])).toMatchObject({ stdout: `ERR_SEMLOCK_UNTRUSTED ${name}\n`, status: 0 });
    }
  });
});

describe('the control', () => {
  it('is a program without that check, which an empty file kills', () => {
    const name = scratchSemaphore();
    writeFileSync(backingFile(name), '');
    const unchecked = `import sys, _multiprocessing
_multiprocessing.SemLock._rebuild(0, 1, 1, sys.argv[1]).acquire(False)`;
    expect(runProgram('python3', ['-c', unchecked, name])).toMatchObject({ status: null, signal: 'SIGBUS' });
  });
});

describe('a semaphore of another user', () => {
  it("is refused with the system's error as cause", () => {
    const name = scratchSemaphore();
    NamedSemaphore.create(name, { mode: 0 }).close();
    // Root may open anything, so the child becomes nobody, after it has loaded the package.
    const open = `
      import { NamedSemaphore } from 'semlock';
      if (process.getuid() === 0) process.setuid(65534);
      try {
        NamedSemaphore.open(process.argv[1]);
      } catch ({ code, lockName, cause }) {
        console.log(code, lockName, cause.code, cause.syscall);
      }
    `;
    expect(runModule(open, [name]).stdout).toBe(`ERR_SEMLOCK_SYSTEM ${name} EACCES sem_open\n`);
  });
});
