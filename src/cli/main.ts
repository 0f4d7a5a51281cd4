#!/usr/bin/env node
// The semlock command. Each of its commands is loaded when it is called, so that help needs no addon, and an addon that
// is missing is told in one sentence.

import { SemlockError } from '../errors.js';
import { VERSION } from '../version.js';
import { EXIT, HELP, parseArguments, UsageError } from './usage.js';

type Command = (args: string[]) => number | Promise<number>;

const COMMANDS = new Map<string, () => Promise<Command>>([
  ['ls', async () => (await import('./ls.js')).ls],
  ['namespace', async () => (await import('./namespace.js')).namespace],
  ['run', async () => (await import('./run.js')).run],
]);
const NAMES = 'ls, namespace, run';

// Who reads our output may stop reading, as head(1) does. That is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  process.stderr.write(`semlock: cannot write the output: ${error.message}\n`);
  process.exit(EXIT.unavailable);
});

process.exitCode = EXIT.unavailable; // unless it comes to an end
void main(process.argv.slice(2))
  .catch(report)
  .then((exitCode) => {
    process.exitCode = exitCode;
  });

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined) throw new UsageError(`a command is missing: ${NAMES}`);
  if (name.startsWith('-')) return about([name, ...args]);
  const load = COMMANDS.get(name);
  if (load === undefined) throw new UsageError(`there is no command '${name}', only ${NAMES}`);
  const command = await load();
  return command(args);
}

function about(args: string[]): number {
  const { values } = parseArguments({
    args,
    options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
  });
  process.stdout.write(values.help === true ? HELP : `${VERSION}\n`);
  return 0;
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(error.report);
    return EXIT.usage;
  }
  if (error instanceof SemlockError) {
    process.stderr.write(`semlock: ${error.message}\n`);
    return EXIT.unavailable;
  }
  throw error;
}
