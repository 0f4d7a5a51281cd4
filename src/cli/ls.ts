// `semlock ls`: who holds which lock, and who waits for it.

import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

import type { HeldLockInfo, LockGap, LockInfo, LockManagerSnapshot } from '../store.js';
import { createLocks, type QueryOptions } from '../web-locks/lock-manager.js';
import { storeFrom } from './store.js';
import { columns, duration, printable } from './text.js';
import {
  COMMON_OPTIONS,
  HELP,
  namespaceFrom,
  OWNERS_OPTIONS,
  ownersFrom,
  parseArguments,
  UsageError,
} from './usage.js';

/** How often to look. */
const WATCH_MS = 500;

const CLEAR_SCREEN = '\u001b[H\u001b[2J\u001b[3J';

/** Prints the locks of a namespace, or one with a POSIX name, once or at each change; gives the exit code. */
export async function ls(args: string[]): Promise<number> {
  const { values } = parseArguments({
    args,
    options: {
      ...COMMON_OPTIONS,
      json: { type: 'boolean' },
      watch: { type: 'boolean' },
      'posix-name': { type: 'string' },
      ...OWNERS_OPTIONS,
      store: { type: 'string' },
    },
  });
  const { help, json = false, watch = false, 'posix-name': posixName } = values;
  if (help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  if (posixName !== undefined && values.namespace !== undefined) {
    throw new UsageError('--namespace and --posix-name exclude each other');
  }
  const where = posixName === undefined ? { namespace: namespaceFrom(values.namespace).namespace } : { posixName };
  const owners = ownersFrom(values);
  const store = storeFrom(values.store);
  const locks = createLocks({ store });
  const look = async () => {
    const snapshot = await locks.query({ ...where, ...owners });
    if (!json) return table(nothing(where), snapshot);
    return `${JSON.stringify({ ...where, ...owners, ...snapshot }, null, watch ? 0 : 2)}\n`;
  };
  if (!watch) {
    try {
      process.stdout.write(await look());
      return 0;
    } finally {
      await store?.close?.();
    }
  }
  for (let before = ''; ;) {
    const text = await look();
    if (text !== before) process.stdout.write(process.stdout.isTTY && !json ? `${CLEAR_SCREEN}${text}` : text);
    before = text;
    await setTimeout(WATCH_MS);
  }
}

function nothing({ namespace, posixName }: QueryOptions): string {
  return namespace === undefined
    ? `The lock ${printable(posixName!)} is not held\n`
    : `No lock is held in the namespace ${printable(namespace)}\n`;
}

function table(nothing: string, { held, pending, gaps }: LockManagerSnapshot): string {
  if (held.length + pending.length + gaps.length === 0) return nothing;
  const holders = columns(held.length > 0 ? [HELD_HEADER, ...held.map(heldRow)] : []);
  const waiters = columns(pending.length > 0 ? [PENDING_HEADER, ...pending.map(pendingRow)] : []);
  return [holders, waiters, gaps.map(gapLine).join('')].filter((part) => part !== '').join('\n');
}

const HELD_HEADER = ['MODE', 'PID', 'ALIVE', 'SINCE', 'HELD FOR', 'TOKEN', 'NAME', 'COMMAND'];

function heldRow({ mode, pid, alive, since, token, name }: HeldLockInfo): string[] {
  const command = alive ? commandOf(pid) : '';
  return [mode, String(pid), alive ? 'yes' : 'no', second(since), age(since), String(token), printable(name), command];
}

/** The command line of a process, as it is seen from here; nothing where it is not. */
function commandOf(pid: number): string {
  try {
    return printable(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim());
  } catch {
    return '';
  }
}

const PENDING_HEADER = ['MODE', 'PID', 'SINCE', 'WAITS FOR', 'NAME'];

function pendingRow({ mode, pid, since, name }: LockInfo): string[] {
  return [mode, String(pid), second(since), age(since), printable(name)];
}

function second(since: Date): string {
  return `${since.toISOString().slice(0, 19)}Z`;
}

function age(since: Date): string {
  return duration(Date.now() - since.getTime());
}

function gapLine({ name, permits, missing }: LockGap): string {
  return `Missing: ${missing} of ${permits} permits of ${printable(name)}; another program has them, or died with them\n`;
}
