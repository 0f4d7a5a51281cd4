// `semlock namespace`: which locks an app in this folder has, and why.

import { workingFolderNamespace } from '../namespace.js';
import { print } from './output.js';
import { printable } from './text.js';
import { HELP, parseArguments } from './usage.js';

/** Prints the namespace, so that a shell can take it from there, and on standard error why it is that; gives the exit code. */
export function namespace(args: string[]): number {
  const { values } = parseArguments({ args, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help === true) {
    print(HELP);
    return 0;
  }
  const { name, because } = workingFolderNamespace();
  print(`${name}\n`);
  process.stderr.write(`semlock: ${printable(name)}, because ${because}\n`);
  return 0;
}
