// What /proc tells of the processes that hold locks of this machine: their command lines, and who they are where it is not
// the one that took the lock.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

import { gateStep } from '../stores/process/query.js';

/** A process, and its command line. */
export interface Command {
  readonly pid: number;
  readonly command: string;
}

/** What semlock.cjs runs. */
const SEMLOCK = '/src/cli/../../dist/command.js';

/**
 * The command line of a process, as it is seen from here; `undefined` where it is not, or the process has ended. That of
 * `semlock` is the one that its user wrote.
 */
export function commandOf(pid: number): string | undefined {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (words[1]?.endsWith(SEMLOCK)) words.splice(0, 2, 'semlock');
    return words.join(' ').trim() || undefined;
  } catch {
    return undefined;
  }
}

/**
 * The processes by which a client lives that took a lock and is gone: `semlock run` leaves its command, and what that has
 * started, a descriptor of the lock table. The lock on a byte of it, by its place in the table, tells whose it was.
 */
export function heirsOf(clientId: string, namespaceId: string): Command[] {
  const slot = BigInt(clientId.split('-')[1] ?? 0);
  const found: Command[] = [];
  for (const entry of readdirSync('/proc')) {
    const command = /^\d+$/.test(entry) && inherited(entry, slot, namespaceId) ? commandOf(Number(entry)) : undefined;
    if (command !== undefined) found.push({ pid: Number(entry), command });
  }
  return found.sort((one, other) => one.pid - other.pid);
}

function inherited(pid: string, slot: bigint, namespaceId: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      if (!readlinkSync(`/proc/${pid}/fd/${descriptor}`).includes(`/${namespaceId}.table`)) return false;
      const locks = readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8').matchAll(/OFDLCK.* (\d+) \d+$/gm);
      return [...locks].some(([, byte]) => BigInt(byte!) % BigInt(gateStep()) === slot + 1n);
    });
  } catch {
    return false; // it has ended, or it is another user's
  }
}
