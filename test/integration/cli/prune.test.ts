// What the dead have left is shown by `semlock ls --all`, and goes with `semlock prune`. It is about all namespaces of the
// user at once, so it looks at those of this test alone.

import { existsSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { namespaceId } from '../../../src/names.js';
import { startHolder } from '../../support/holder.js';
import { runModule, runProgram } from '../../support/run-program.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { filesOf, scratchNamespace, tableOf } from '../../support/shm.js';
import { SEMLOCK, semlock } from './semlock.js';

interface Shown {
  readonly id: string;
  readonly namespace?: string;
  readonly posixName?: string;
  readonly bytes: number;
  readonly joined: string;
  readonly users: number;
  readonly abandoned: number;
}

/** Leaves what a process leaves that was killed with nothing in hand. */
function leave(options: { namespace?: string; posixName?: string }): void {
  const source = `import { Lock } from 'semlock';
    new Lock('report', ${JSON.stringify(options)}).tryAcquire().release();
    process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000);`;
  expect(runModule(source).signal).toBe('SIGTERM');
}

const all = () => (JSON.parse(semlock(['ls', '--all', '--json']).stdout) as { namespaces: Shown[] }).namespaces;
const shown = (namespace: string) => all().find((each) => each.namespace === namespace);

describe('semlock ls --all', () => {
  it('shows each namespace of this user, with its size and its users', async () => {
    const [used, left] = [scratchNamespace(), scratchNamespace()];
    await startHolder('report', { namespace: used });
    await startHolder('another', { namespace: used });
    leave({ namespace: left });

    const expected = { bytes: expect.any(Number), joined: expect.any(String), abandoned: 0 };
    expect(shown(used)).toEqual({ ...expected, id: namespaceId(used), namespace: used, users: 2 });
    expect(shown(left)).toEqual({ ...expected, id: namespaceId(left), namespace: left, users: 0 });
    expect(Math.abs(Date.parse(shown(left)!.joined) - Date.now())).toBeLessThan(60_000);
    expect(shown(left)!.bytes).toBeGreaterThan(100_000);

    const lines = semlock(['ls', '--all']).stdout.split('\n');
    expect(lines[0]).toMatch(/^USERS +LAST JOINED +AGO +SIZE +ABANDONED +NAMESPACE$/);
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +\d+s`;
    expect(lines).toContainEqual(expect.stringMatching(RegExp(`^2 +${time} +\\d+ KiB +0 +${used}$`)));
    expect(lines).toContainEqual(expect.stringMatching(RegExp(`^0 +${time} +\\d+ KiB +0 +${left}$`)));
  });

  it('shows a semaphore that has a table for itself by its name, and how many locks were abandoned', async () => {
    const posixName = scratchSemaphore();
    leave({ posixName });
    expect(all()).toContainEqual(expect.objectContaining({ posixName, users: 0 }));
    const namespace = scratchNamespace();
    await (await startHolder('report', { namespace })).die();
    expect(shown(namespace)).toMatchObject({ users: 0, abandoned: 1 });
  });

  it('changes nothing', () => {
    const namespace = scratchNamespace();
    leave({ namespace });
    const before = filesOf(namespace);
    semlock(['ls', '--all']);
    expect(filesOf(namespace)).toEqual(before);
  });
});

describe('semlock prune', () => {
  it('removes what nobody uses, and says so', async () => {
    const [left, used] = [scratchNamespace(), scratchNamespace()];
    leave({ namespace: left });
    await startHolder('report', { namespace: used });
    const { status, stdout, stderr } = semlock(['prune']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(RegExp(`^removed ${left} \\(\\d+ KiB\\)$`, 'm'));
    expect(stdout).toMatch(/^\d+ removed \(.+\), \d+ in use, \d+ kept\n$/m);
    expect(stdout).not.toContain(used);
    expect(filesOf(left)).toEqual([]);
    expect(existsSync(tableOf(used))).toBe(true);
  });

  // In a /dev/shm of its own: while a process of another user has locks, nothing tells that a semaphore is not its.
  it.runIf(process.geteuid!() === 0)('removes semaphores whose table is gone, once nobody uses them', () => {
    const inside = `rm -r /dev/shm/semlock-0; "$0" prune
      kill -9 $PPID; while kill -0 $PPID 2>/dev/null; do sleep 0.01; done
      "$0" prune; ls -d /dev/shm/sem.*`;
    const own = `/dev/shm/sem.semlock.${'x'.repeat(29)}`; // of a program, as its length tells
    const script = `mount -t tmpfs -o mode=1777 tmpfs /dev/shm; umask 077; : >${own}
      "$0" run --close --namespace test report sh -c '${inside}' "$0"`;
    const { stdout } = runProgram('unshare', ['--mount', 'sh', '-c', script, SEMLOCK]);
    const [kept, , removed, , ...files] = stdout.trimEnd().split('\n');
    expect(kept).toBe('kept semaphores without a lock table, which somebody may use: 1');
    expect(removed).toMatch(/^removed semaphores without a lock table: 1 \(\d+ KiB\)$/);
    expect(files).toEqual([own]);
  });

  it('keeps what the next holder of a lock is to be told, but for --all', async () => {
    const namespace = scratchNamespace();
    await (await startHolder('report', { namespace })).die();
    const kept = `kept ${namespace}: the next holder of a lock is to be told that the previous one died; --all removes it too`;
    expect(semlock(['prune']).stdout).toContain(kept);
    expect(shown(namespace)).toMatchObject({ abandoned: 1 });

    const { removed, inUse } = JSON.parse(semlock(['prune', '--all', '--json']).stdout) as Record<string, Shown[]>;
    expect(removed).toContainEqual(expect.objectContaining({ namespace, abandoned: 1 }));
    expect(inUse).not.toContainEqual(expect.objectContaining({ namespace }));
    expect(filesOf(namespace)).toEqual([]);
  });
});
