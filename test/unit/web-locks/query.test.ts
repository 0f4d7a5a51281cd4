// locks.query() is for people who wonder why nothing moves. It must show all that is held, and change nothing of it.

import { existsSync, mkdirSync, rmdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { locks } from '../../../src/web-locks/lock-manager.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';
import { Semaphore } from '../../../src/semaphore.js';
import { startHolder } from '../../support/holder.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { filesOf, scratchNamespace, tableOf } from '../../support/shm.js';

const NOTHING = { held: [], pending: [], gaps: [] };
const folder = `/dev/shm/semlock-${process.getuid!()}`;

describe('locks.query()', () => {
  it('shows a lock that is held: its name, who holds it, since when and with which token', async () => {
    const namespace = scratchNamespace();
    const before = Date.now();
    const held = new Lock('report', { namespace }).tryAcquire()!;
    const after = Date.now();

    const { held: shown, gaps } = await locks.query({ namespace });

    const { token } = held;
    const [since, clientId] = [expect.any(Date), expect.any(String)];
    const who = { clientId, pid: process.pid, since };
    expect(shown).toEqual([{ name: 'report', mode: 'exclusive', ...who, token, alive: true }]);
    expect(gaps).toEqual([]);
    expect(shown[0]!.since.getTime()).toBeGreaterThan(before - 20);
    expect(shown[0]!.since.getTime()).toBeLessThanOrEqual(after);
    held.release();
    expect(await locks.query({ namespace })).toEqual(NOTHING);
  });

  it('shows the beginning of a long name, which is a lock of its own, and takes little room in the table', async () => {
    const namespace = scratchNamespace();
    const long = `${'n'.repeat(255)}\u{1f512}${'n'.repeat(15_000)}`;
    // As uploads whose names clients choose: whole, these would fill the table.
    const locked = Array.from({ length: 600 }, (_, number) => new Lock(`${long}${number}`, { namespace }).tryAcquire());
    expect(locked.filter((held) => held === null)).toEqual([]);
    const { held: shown } = await locks.query({ namespace });
    expect(shown).toHaveLength(600);
    expect(new Set(shown.map(({ name }) => name))).toEqual(new Set([`${'n'.repeat(255)}…`]));
    for (const held of locked) held!.release();

    const whole = 'w'.repeat(256);
    const held = new Lock(whole, { namespace }).tryAcquire()!;
    expect((await locks.query({ namespace })).held.map(({ name }) => name)).toEqual([whole]);
    held.release();
  });

  it('shows each permit that is held of a semaphore, those that were acquired first before others', async () => {
    const namespace = scratchNamespace();
    const semaphore = new Semaphore('thumbnails', { namespace, permits: 12 });
    const all = Array.from({ length: 11 }, () => semaphore.tryAcquire()!);

    const { held } = await locks.query({ namespace });
    expect(held.map(({ token }) => token)).toEqual(all.map(({ token }) => token));

    all[0]!.release();
    all[10]!.release();
    expect((await locks.query({ namespace })).held).toHaveLength(9);
    for (const each of all) each.release();
  });

  it('shows names as they are, whatever they hold', async () => {
    const namespace = scratchNamespace();
    const names = ['a b', 'tab\t, newline\n, NUL\0', '\ud800', 'é', '🔒'.repeat(128)];
    const all = names.map((name) => new Lock(name, { namespace }).tryAcquire()!);

    const shown = (await locks.query({ namespace })).held.map(({ name }) => name);
    expect(shown.sort()).toEqual(names.sort());
    for (const each of all) each.release();
  });

  it('shows one namespace alone: the one it is given, or else the default', async () => {
    const [one, other] = [scratchNamespace(), scratchNamespace()];
    const held = new Lock('report', { namespace: one }).tryAcquire()!;

    expect(await locks.query({ namespace: other })).toEqual(NOTHING);
    vi.stubEnv('SEMLOCK_NAMESPACE', one);
    expect((await locks.query()).held).toHaveLength(1);
    held.release();
    expect(await locks.query()).toEqual(NOTHING);
    vi.unstubAllEnvs();
  });

  it.each([{ names: 'x' }, { namespace: '' }, { namespace: 7 }, 'x'])(
    'rejects %j with a clear error',
    async (options) => {
      await expect(locks.query(options as never)).rejects.toMatchObject({
        code: 'ERR_SEMLOCK_OPTION',
        message: expect.stringMatching(/^locks\.query\(\): /),
      });
    },
  );
});

describe('a look at a namespace from outside', () => {
  it('creates nothing where nobody is', async () => {
    const namespace = scratchNamespace();
    expect(await locks.query({ namespace })).toEqual(NOTHING);
    expect(existsSync(tableOf(namespace))).toBe(false);

    // The same question about files that are in use.
    await startHolder('report', { namespace });
    expect(existsSync(tableOf(namespace))).toBe(true);
  });

  it('shows what other processes hold, and keeps none of their files when they have gone', async () => {
    const namespace = scratchNamespace();
    const [one, other] = await Promise.all([startHolder('one', { namespace }), startHolder('other', { namespace })]);

    const { held } = await locks.query({ namespace });
    expect(new Map(held.map(({ name, pid }) => [name, pid]))).toEqual(
      new Map([
        ['one', one.pid],
        ['other', other.pid],
      ]),
    );

    await Promise.all([one.release(), other.release()]);
    expect(await locks.query({ namespace })).toEqual(NOTHING);
    expect(filesOf(namespace)).toEqual([]);
  });

  it('shows a holder that died as not alive, however often one looks, until somebody takes the lock', async () => {
    const namespace = scratchNamespace();
    const holder = await startHolder('report', { namespace });
    expect((await locks.query({ namespace })).held).toMatchObject([{ pid: holder.pid, alive: true }]);

    await holder.die();
    for (let looks = 0; looks < 3; looks += 1) {
      expect((await locks.query({ namespace })).held).toMatchObject([{ pid: holder.pid, alive: false }]);
    }

    const held = new Lock('report', { namespace }).tryAcquire()!;
    expect(held.abandoned, 'looking did not clear away what the next holder has to know').toBe(true);
    expect((await locks.query({ namespace })).held).toMatchObject([{ pid: process.pid, alive: true }]);
    held.release();
  });

  it('leaves a table alone that nobody uses and nobody can read', async () => {
    const namespace = scratchNamespace();
    placeInsteadOfTable(namespace, (path) => writeFileSync(path, 'not a table', { mode: 0o600 }));
    expect(await locks.query({ namespace })).toEqual(NOTHING);
    expect(existsSync(tableOf(namespace))).toBe(true);
  });

  it('refuses a table that is not a private file of this user', async () => {
    const [linked, open] = [scratchNamespace(), scratchNamespace()];
    placeInsteadOfTable(linked, (path) => symlinkSync('/etc/passwd', path));
    placeInsteadOfTable(open, (path) => writeFileSync(path, '', { mode: 0o644 }));
    await expect(locks.query({ namespace: linked })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_UNTRUSTED' });
    await expect(locks.query({ namespace: open })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_UNTRUSTED' });
  });

  it('does not say that nothing is held when the table was removed under its users', async () => {
    const namespace = scratchNamespace();
    await startHolder('report', { namespace });
    rmSync(tableOf(namespace));
    await expect(locks.query({ namespace })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_TABLE_LOST' });
  });
});

describe('a lock with a posixName', () => {
  it('is in no namespace, and is looked at by that name', async () => {
    const [namespace, posixName] = [scratchNamespace(), scratchSemaphore()];
    const held = new Lock('report', { namespace, posixName }).tryAcquire()!;
    expect(await locks.query({ namespace })).toEqual(NOTHING);
    expect((await locks.query({ posixName })).held).toMatchObject([{ name: posixName, token: held.token }]);
    held.release();
    expect(await locks.query({ posixName })).toEqual(NOTHING);
  });

  it('is not looked for in a namespace too, nor under a name that no semaphore has', async () => {
    await expect(locks.query({ namespace: 'shop', posixName: '/report' })).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
      message: expect.stringContaining(
        'locks.query(): option "namespace" must be absent with a posixName, which is in none, but "shop" was given',
      ) as string,
    });
    await expect(locks.query({ posixName: 'report' })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
  });
});

describe('permits that are missing', () => {
  it('are shown of a lock with a posixName, as long as another program has them', async () => {
    const posixName = scratchSemaphore();
    const semaphore = new Semaphore('shared', { namespace: scratchNamespace(), permits: 3, posixName });
    const held = semaphore.tryAcquire()!;
    const foreign = NamedSemaphore.open(posixName);
    expect((await locks.query({ posixName })).gaps).toEqual([]);

    foreign.tryWait();
    foreign.tryWait();
    expect((await locks.query({ posixName })).gaps).toEqual([{ name: posixName, permits: 3, missing: 2 }]);
    held.release();
    expect(await locks.query({ posixName })).toEqual({
      held: [],
      pending: [],
      gaps: [{ name: posixName, permits: 3, missing: 2 }],
    });

    foreign.post();
    foreign.post();
    expect(await locks.query({ posixName })).toEqual(NOTHING);
    foreign.close();
  });

  it('are not those that change hands while one looks', async () => {
    const posixName = scratchSemaphore();
    const semaphore = new Semaphore('shared', { namespace: scratchNamespace(), permits: 2, posixName });
    semaphore.tryAcquire()!.release();
    const other = await startHolder('shared', { posixName, permits: 2 }, 'again and again');

    for (let looks = 0; looks < 2_000; looks += 1) expect((await locks.query({ posixName })).gaps).toEqual([]);
    await other.release();
  });
});

/** Puts something where the table of a namespace belongs, for one test. */
function placeInsteadOfTable(namespace: string, place: (path: string) => void): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  onTestFinished(() => {
    rmSync(tableOf(namespace), { force: true });
    try {
      rmdirSync(folder);
    } catch {
      // Other namespaces are in use.
    }
  });
  place(tableOf(namespace));
}
