// `semlock ls`: who holds which lock, and who waits for it; or which namespaces there are.

import { setTimeout } from 'node:timers/promises';

import { FILE_NAMESPACE } from '../file-name.js';
import { checkPosixName } from '../names.js';
import { namespaceIdOf } from '../stores/process/query.js';
import type { HeldLockInfo, LockGap, LockInfo, LockManagerSnapshot } from '../store.js';
import { namespaces, type Namespace } from '../stores/process/namespaces.js';
import type { LockOwners } from '../owners.js';
import { print } from './output.js';
import { commandOf, heirsOf, type Command } from './processes.js';
import { Screen } from './screen.js';
import { processStore } from '../stores/process/process-store.js';
import { queryOf, storeFrom } from './store.js';
import { ALARM, columns, HEADER, plain, width, type Cell } from './table.js';
import { duration, nameOf, printable, size } from './text.js';
import {
  COMMON_OPTIONS,
  HELP,
  namespaceFrom,
  OWNERS_OPTIONS,
  ownersFrom,
  parseArguments,
  usageErrors,
  UsageError,
} from './usage.js';

/** How often to look. */
const WATCH_MS = 500;

/** @internal */
export const LS_OPTIONS = {
  ...COMMON_OPTIONS,
  all: { type: 'boolean' },
  json: { type: 'boolean' },
  watch: { type: 'boolean' },
  'posix-name': { type: 'string' },
  ...OWNERS_OPTIONS,
  store: { type: 'string' },
} as const;

/** What is shown: as it is for programs, and as a table for people. */
interface View {
  readonly json: object;
  /** In lines that need not be cut, if that can be. */
  table(room?: number): string;
}

/** Prints the locks of a namespace, or one with a POSIX name, or all namespaces, once or at each change; gives the exit code. */
export async function ls(args: string[]): Promise<number> {
  const { values } = parseArguments({ args, options: LS_OPTIONS });
  const { help, all = false, json = false, watch = false, 'posix-name': posixName, namespace } = values;
  if (help === true) {
    print(HELP);
    return 0;
  }
  if ([all || undefined, posixName, namespace].filter((each) => each !== undefined).length > 1) {
    throw new UsageError('--all, --namespace and --posix-name exclude each other');
  }
  if (all && values.store !== undefined) throw new UsageError('--all and --store exclude each other');
  if (posixName !== undefined) usageErrors(() => checkPosixName('ls', posixName));
  const where = posixName === undefined ? { namespace: namespaceFrom(namespace).namespace } : { posixName };
  const owners = ownersFrom(values);
  const store = storeFrom(values.store);
  const query = queryOf(store);
  const here = store === undefined || store === processStore; // elsewhere a process of that number is another one
  const look = all ? () => allNamespaces(owners) : () => locksOf(query, where, owners, namespace !== undefined, here);
  if (!watch) {
    try {
      const view = await look();
      print(json ? `${JSON.stringify(view.json, null, 2)}\n` : plain(view.table()));
      return 0;
    } finally {
      await store?.close?.();
    }
  }
  // A line of JSON for each change, where nobody sees a table change.
  const screen = json || !process.stdout.isTTY ? undefined : new Screen();
  for (let before = ''; ;) {
    const view = await look();
    if (screen === undefined) {
      const line = `${JSON.stringify(view.json)}\n`;
      if (line !== before) print(line);
      before = line;
    } else {
      screen.show((room) => view.table(room));
    }
    await setTimeout(WATCH_MS);
  }
}

type Where = { readonly namespace: string } | { readonly posixName: string };

/** What is shown of a holder besides what a store tells. */
interface Shown extends HeldLockInfo {
  readonly command?: string | undefined;
  /** Where the process that took it has ended: those that it has left the lock to. */
  readonly keptBy?: readonly Command[] | undefined;
}

async function locksOf(
  query: ReturnType<typeof queryOf>,
  where: Where,
  owners: LockOwners,
  named: boolean,
  here: boolean,
): Promise<View> {
  const snapshot = await query({ ...where, ...owners });
  const held = snapshot.held.map((each) =>
    here && each.alive ? { ...each, ...commandsOf(each, where, owners) } : each,
  );
  const shown = { ...snapshot, held };
  return { json: { ...where, ...owners, ...shown }, table: (room) => lockTable(nothing(where, named), shown, room) };
}

function commandsOf(
  { pid, clientId }: HeldLockInfo,
  where: Where,
  owners: LockOwners,
): Pick<Shown, 'command' | 'keptBy'> {
  const command = commandOf(pid);
  if (command !== undefined) return { command };
  const keptBy = heirsOf(clientId, namespaceIdOf({ ...where, ...owners }));
  return keptBy.length === 0 ? {} : { keptBy };
}

/** Without `--namespace` it is the namespace of the app. The lock that is looked for may be that of a file, which is elsewhere. */
function nothing(where: Where, named: boolean): string {
  if ('posixName' in where) return `The lock ${printable(where.posixName)} is not held\n`;
  const files = named ? '' : `The locks of files are shown by: semlock ls --namespace ${FILE_NAMESPACE}\n`;
  return `No lock is held in the namespace ${printable(where.namespace)}\n${files}`;
}

function lockTable(
  nothing: string,
  { held, pending, gaps }: LockManagerSnapshot & { readonly held: readonly Shown[] },
  room: number | undefined,
): string {
  if (held.length + pending.length + gaps.length === 0) return nothing;
  const holders = held.length > 0 ? within(room, [HELD_HEADER, ...held.map(heldRow)]) : '';
  const waiters = pending.length > 0 ? within(room, [PENDING_HEADER, ...pending.map(pendingRow)]) : '';
  return [holders, waiters, gaps.map(gapLine).join('')].filter((part) => part !== '').join('\n');
}

/** What can be done without. */
const DETAILS = new Set(['SINCE', 'TOKEN', 'LAST JOINED']);

/** A table, without details where there is no room for them. */
function within(room = Infinity, rows: readonly Cell[][]): string {
  const whole = columns(rows);
  if (whole.split('\n').every((line) => width(plain(line)) <= room)) return whole;
  const titles = rows[0]!.map((cell) => (typeof cell === 'string' ? cell : cell.text));
  return columns(rows.map((row) => row.filter((_, column) => !DETAILS.has(titles[column]!))));
}

const header = (...titles: string[]): Cell[] => titles.map((text) => ({ text, colour: HEADER }));
const HELD_HEADER = header('MODE', 'PID', 'ALIVE', 'SINCE', 'HELD FOR', 'TOKEN', 'NAME', 'COMMAND');

function heldRow({ mode, pid, alive, since, token, name, command, keptBy }: Shown): Cell[] {
  const lives = !alive ? { text: 'no', colour: ALARM } : keptBy === undefined ? 'yes' : 'kept';
  const what = keptBy?.[0] === undefined ? (command ?? '') : `by ${keptBy[0].pid}: ${keptBy[0].command}`;
  return [mode, String(pid), lives, second(since), age(since), String(token), printable(name), printable(what)];
}

const PENDING_HEADER = header('MODE', 'PID', 'SINCE', 'WAITS FOR', 'NAME');

function pendingRow({ mode, pid, since, name }: LockInfo): Cell[] {
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

function allNamespaces(owners: LockOwners): View {
  const all = namespaces(owners);
  const table = (room?: number) =>
    all.length === 0 ? 'There are no locks\n' : within(room, [NAMESPACE_HEADER, ...all.map(namespaceRow)]);
  return { json: { ...owners, namespaces: all }, table };
}

const NAMESPACE_HEADER = header('USERS', 'LAST JOINED', 'AGO', 'SIZE', 'ABANDONED', 'NAMESPACE');

function namespaceRow(each: Namespace): Cell[] {
  const { users, joined, bytes, abandoned } = each;
  const when = joined === undefined ? ['?', '?'] : [second(joined), age(joined)];
  const lost = abandoned === 0 ? '0' : { text: String(abandoned), colour: ALARM };
  return [String(users), ...when, size(bytes), lost, nameOf(each)];
}
