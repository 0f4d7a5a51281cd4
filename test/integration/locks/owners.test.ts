// Locks that several users share, and a process that changes its user, by the API and the command. Only root can start
// processes of other users.

import { describe, expect, it } from 'vitest';

import type { SemlockError } from '../../../src/errors.js';
import { Lock } from '../../../src/lock.js';
import { memoryStore } from '../../../src/stores/memory/memory-store.js';
import { createLocks } from '../../../src/web-locks/lock-manager.js';
import { failure } from '../../support/failure.js';
import { runModule, runProgram, type Ended } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';
import { SEMLOCK } from '../cli/semlock.js';

const isRoot = process.geteuid!() === 0;
const [USER, STRANGER, GROUP] = [54_001, 54_002, 54_100];

/** Runs a program as a user who is in one other group. */
function runAs(user: number, program: string, args: readonly string[], group = user): Ended {
  const ids = [`--reuid=${user}`, `--regid=${user}`, `--groups=${group}`];
  return runProgram('setpriv', [...ids, program, ...args]);
}

const tryIt = `
  import { Lock } from 'semlock';
  const [namespace, options] = process.argv.slice(1);
  try {
    const held = new Lock('ledger', { namespace, ...JSON.parse(options) }).tryAcquire();
    console.log(held === null ? 'busy' : 'held');
    held?.release();
  } catch ({ code, message }) {
    console.log(code, message);
  }
`;

const tryAs = (user: number, namespace: string, options: object, group?: number) =>
  runAs(user, process.execPath, ['--input-type=module', '-e', tryIt, '--', namespace, JSON.stringify(options)], group);

describe.runIf(isRoot)('a lock of a group', () => {
  it('excludes its members, and refuses all others', () => {
    const namespace = scratchNamespace();
    const held = new Lock('ledger', { namespace, group: GROUP }).tryAcquire();
    expect(tryAs(USER, namespace, { group: GROUP }, GROUP)).toMatchObject({ stdout: 'busy\n' });
    expect(tryAs(STRANGER, namespace, { group: String(GROUP) }).stdout).toMatch(
      /^ERR_SEMLOCK_GROUP this process is not in the group .* "ledger" .*\n$/,
    );
    expect(tryAs(USER, namespace, {}, GROUP), 'another lock').toMatchObject({ stdout: 'held\n' });
    held!.release();
    expect(tryAs(USER, namespace, { group: GROUP }, GROUP)).toMatchObject({ stdout: 'held\n' });
  });

  it('is found by the name of the group, by locks.request() and by the command', async () => {
    const namespace = scratchNamespace();
    const [name, , id] = runProgram('getent', ['group', 'daemon']).stdout.split(':');
    const manager = createLocks({ namespace, group: name! });
    await manager.request('ledger', async () => {
      expect(new Lock('ledger', { namespace, group: Number(id) }).tryAcquire()).toBeNull();
      expect((await manager.query()).held).toMatchObject([{ name: 'ledger', pid: process.pid }]);
      expect((await createLocks({ namespace }).query()).held).toEqual([]);
      const ls = runProgram(SEMLOCK, ['ls', '--namespace', namespace, '--group', name!, '--json']);
      expect(JSON.parse(ls.stdout)).toMatchObject({ namespace, group: name, held: [{ name: 'ledger' }] });
      const run = (...args: string[]) =>
        runProgram(SEMLOCK, ['run', '--namespace', namespace, ...args, 'ledger', 'true']);
      expect(run('--group', name!)).toMatchObject({
        status: 75,
        stderr: expect.stringContaining(`of the group ${name}`),
      });
      expect(run()).toMatchObject({ status: 0 });
    });
  });
});

describe.runIf(isRoot)('a lock of a user', () => {
  it('is the same for that user, who says nothing, and for root, who names the user', () => {
    const namespace = scratchNamespace();
    const held = new Lock('ledger', { namespace, user: USER }).tryAcquire();
    expect(new Lock('ledger', { namespace }).tryAcquire()?.release(), 'of root itself').toBe(true);
    expect(tryAs(USER, namespace, {})).toMatchObject({ stdout: 'busy\n' });
    expect(tryAs(USER, namespace, { user: USER })).toMatchObject({ stdout: 'busy\n' });
    expect(tryAs(STRANGER, namespace, {})).toMatchObject({ stdout: 'held\n' });
    expect(tryAs(STRANGER, namespace, { user: USER }).stdout).toMatch(
      /^ERR_SEMLOCK_USER .* neither root nor the user .* "ledger" /,
    );
    const run = runProgram(SEMLOCK, ['run', '--user', String(USER), '--namespace', namespace, 'ledger', 'true']);
    expect(run).toMatchObject({ status: 75 });
    held!.release();
    expect(tryAs(USER, namespace, {})).toMatchObject({ stdout: 'held\n' });
  });
});

describe.runIf(isRoot)('a process that uses a lock as root, and then becomes a user', () => {
  it.each(['setuid', 'seteuid'])('by %s() is refused that lock, and new ones', (change) => {
    const { stdout, stderr } = runModule(
      `
        import { Lock } from 'semlock';
        const [namespace, change] = process.argv.slice(1);
        const attempt = (what, lock) => {
          try {
            const held = lock.tryAcquire();
            console.log(what, held === null ? 'busy' : 'held');
            return held;
          } catch ({ code }) {
            console.log(what, code);
          }
        };
        const used = new Lock('ledger', { namespace });
        const named = new Lock('ledger', { namespace, user: ${USER} });
        const held = attempt('root', used);
        attempt('named', named).release();
        process.setegid(${USER});
        process[change](${USER});
        attempt('again', used);
        attempt('new', new Lock('ledger', { namespace }));
        attempt('unused', new Lock('other', { namespace }));
        await used.acquire().catch(({ code }) => console.log('acquire', code));
        console.log('release', held.release());
        attempt('named', named).release();
      `,
      [scratchNamespace(), change],
    );
    const refused = ['again', 'new', 'unused', 'acquire'].map((what) => `${what} ERR_SEMLOCK_USER`);
    expect({ stdout, stderr }).toEqual({
      stdout: ['root held', 'named held', ...refused, 'release true', 'named held', ''].join('\n'),
      stderr: '',
    });
  });
});

describe('the options', () => {
  it.each([
    [{ user: '' }, 'option "user" must be the name or the number of a user, but "" was given'],
    [{ group: -1 }, 'option "group" must be the name or the number of a group, but -1 was given'],
    [{ group: 1.5 }, 'option "group" must be the name or the number of a group, but 1.5 was given'],
    [{ user: 'www', group: 'www' }, 'option "user" must be absent with a group'],
    [{ group: 'www', store: memoryStore() }, 'option "group" must be absent in the store "memory"'],
  ])('%j are refused', (options, message) => {
    const error = failure(() => new Lock('ledger', options)) as SemlockError;
    expect(error.code).toBe('ERR_SEMLOCK_OPTION');
    expect(error.message).toContain(message);
  });

  it('that name nobody are refused when the lock is used', () => {
    for (const key of ['user', 'group'] as const) {
      const lock = new Lock('ledger', { namespace: 'owners', [key]: 'nobody of that name' });
      const error = failure(() => lock.tryAcquire()) as SemlockError;
      expect(error.code).toBe(`ERR_SEMLOCK_${key.toUpperCase()}`);
      expect(error.message).toContain(`there is no ${key} "nobody of that name" on this system`);
    }
  });
});
