// `semlock ls`: who holds which lock.

import { locks, type LockGap, type LockInfo, type LockManagerSnapshot } from '../lock/locks.js';
import { columns, duration, printable } from './text.js';
import { COMMON_OPTIONS, HELP, namespaceFrom, parseArguments } from './usage.js';

/** Prints the locks of a namespace; gives the exit code. */
export async function ls(args: string[]): Promise<number> {
  const { values } = parseArguments({ args, options: { ...COMMON_OPTIONS, json: { type: 'boolean' } } });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const namespace = namespaceFrom(values.namespace);
  const snapshot = await locks.query({ namespace });
  process.stdout.write(
    values.json === true ? `${JSON.stringify({ namespace, ...snapshot }, null, 2)}\n` : table(namespace, snapshot),
  );
  return 0;
}

function table(namespace: string, { held, gaps }: LockManagerSnapshot): string {
  if (held.length + gaps.length === 0) return `No lock is held in the namespace ${printable(namespace)}\n`;
  const header = ['MODE', 'PID', 'ALIVE', 'SINCE', 'HELD FOR', 'TOKEN', 'NAME'];
  return columns(held.length > 0 ? [header, ...held.map(heldRow)] : []) + gaps.map(gapLine).join('');
}

function heldRow({ mode, pid, alive, since, token, name }: LockInfo): string[] {
  const second = `${since.toISOString().slice(0, 19)}Z`;
  const heldFor = duration(Date.now() - since.getTime());
  return [mode, String(pid), alive ? 'yes' : 'no', second, heldFor, String(token), printable(name)];
}

function gapLine({ name, permits, missing }: LockGap): string {
  return `Missing: ${missing} of ${permits} permits of ${printable(name)}; another program has them, or died with them\n`;
}
