// `semlock namespace`: which locks an app in this folder has, and why.

import { workingFolderNamespace } from '../namespace.js';
import { ownersKey, type LockOwners } from '../owners.js';
import { numbered } from '../stores/process/owners.js';
import { print } from './output.js';
import { printable } from './text.js';
import { HELP, NAMESPACE_OPTIONS, ownersFrom, parseArguments } from './usage.js';

/** Prints the namespace, so that a shell can take it from there, and on standard error why it is that; gives the exit code. */
export function namespace(args: string[]): number {
  const { values } = parseArguments({ args, options: NAMESPACE_OPTIONS });
  if (values.help === true) {
    print(HELP);
    return 0;
  }
  const owners = ownersFrom(values);
  const folder = folderOf(owners);
  const { name, because } = workingFolderNamespace();
  print(`${name}\n`);
  process.stderr.write(`semlock: ${printable(name)}, because ${because}${folder}\n`);
  return 0;
}

/** In which folder the locks are, and whose: those of others in the same namespace are other locks. */
function folderOf(owners: LockOwners): string {
  const whose = printable(ownersKey(owners) || 'user of this process');
  const { kind, id } = numbered(owners) ?? { kind: 'user', id: process.geteuid?.() };
  if (id === undefined || process.platform !== 'linux') return '';
  return `; its locks are those of the ${whose}, in /dev/shm/semlock-${kind === 'group' ? 'group-' : ''}${id}`;
}
