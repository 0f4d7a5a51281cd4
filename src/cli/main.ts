#!/usr/bin/env node
// The semlock command. Each of its commands is loaded when it is called, so that help needs no addon, an addon that is
// missing is told in one sentence, and none waits for what it does not need.

import { VERSION } from '../version.js';
import { print } from './output.js';
import { EXIT, HELP, parseArguments, UsageError } from './usage.js';

type Command = (args: string[]) => number | Promise<number>;
type Loaded = Readonly<Record<string, Command>>;

// import() would start the loader of ES modules, which takes some milliseconds more.
/* eslint-disable @typescript-eslint/no-require-imports -- see above */
const COMMANDS: Readonly<Record<string, () => Loaded>> = {
  completion: () => require('./completion.js') as Loaded,
  ls: () => require('./ls.js') as Loaded,
  migrate: () => require('./migrate.js') as Loaded,
  namespace: () => require('./namespace.js') as Loaded,
  prune: () => require('./prune.js') as Loaded,
  run: () => require('./run.js') as Loaded,
};
/* eslint-enable @typescript-eslint/no-require-imports */
const NAMES = Object.keys(COMMANDS).join(', ');

process.exitCode = EXIT.unavailable; // unless it comes to an end
void main(process.argv.slice(2))
  .catch(report)
  .then((exitCode) => {
    process.exitCode = exitCode;
  });

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined) throw new UsageError(`a command is missing: ${NAMES}`);
  if (name.startsWith('-')) return about([name, ...args]);
  if (!Object.hasOwn(COMMANDS, name)) throw new UsageError(`there is no command '${name}', only ${NAMES}`);
  return COMMANDS[name]!()[name]!(args);
}

function about(args: string[]): number {
  const { values } = parseArguments({
    args,
    options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
  });
  print(values.help === true ? HELP : `${VERSION}\n`);
  return 0;
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(error.report);
    return EXIT.usage;
  }
  // Ours, and what the system or a server says, such as ECONNREFUSED.
  if (error instanceof Error && 'code' in error) {
    process.stderr.write(`semlock: ${error.message}\n`);
    return EXIT.unavailable;
  }
  throw error;
}
