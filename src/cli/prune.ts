// `semlock prune`: removes now what dead processes have left in the system. Each process that joins a namespace removes some
// of it a day later.

import { clearAway, clearStrays, namespaces, type Namespace } from '../stores/process/namespaces.js';
import { print } from './output.js';
import { nameOf, size } from './text.js';
import { HELP, OWNERS_OPTIONS, ownersFrom, parseArguments } from './usage.js';

/** @internal */
export const PRUNE_OPTIONS = {
  all: { type: 'boolean' },
  json: { type: 'boolean' },
  ...OWNERS_OPTIONS,
  help: { type: 'boolean', short: 'h' },
} as const;

/** Removes what no live process uses, and prints what that was; gives the exit code. */
export function prune(args: string[]): number {
  const { values } = parseArguments({ args, options: PRUNE_OPTIONS });
  const { all = false, json = false } = values;
  if (values.help === true) {
    print(HELP);
    return 0;
  }
  const owners = ownersFrom(values);
  const ended = namespaces(owners).map((each) => ({ each, answer: clearAway(each.id, all, owners) }));
  const those = (wanted: string) => ended.filter(({ answer }) => answer === wanted).map(({ each }) => each);
  const [removed, used, owing] = [those('cleared'), those('in use'), those('owes news')];
  const strays = clearStrays(owners);
  if (json) {
    print(`${JSON.stringify({ ...owners, removed, inUse: used, owesNews: owing, strays }, null, 2)}\n`);
    return 0;
  }
  for (const each of removed) print(`removed ${nameOf(each)} (${size(each.bytes)})\n`);
  for (const each of owing) print(`kept ${nameOf(each)}: ${news(each)}; --all removes it too\n`);
  if (strays.removed > 0) print(`removed semaphores without a lock table: ${strays.removed} (${size(strays.bytes)})\n`);
  if (strays.kept > 0) print(`kept semaphores without a lock table, which somebody may use: ${strays.kept}\n`);
  const bytes = removed.reduce((sum, each) => sum + each.bytes, 0);
  print(`${removed.length} removed (${size(bytes)}), ${used.length} in use, ${owing.length} kept\n`);
  return 0;
}

function news({ abandoned }: Namespace): string {
  return abandoned === 1
    ? 'the next holder of a lock is to be told that the previous one died'
    : `the next holders of ${abandoned} locks are to be told that those before died`;
}
