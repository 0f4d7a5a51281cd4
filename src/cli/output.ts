// What the command prints. Only here is standard output touched: to open it loads what `semlock run` does without.

import { EXIT } from './usage.js';

let watched = false;

export function print(text: string): void {
  if (!watched) {
    watched = true;
    // The reader of our output may stop reading, as head(1) does. That is no error.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit();
      process.stderr.write(`semlock: cannot write the output: ${error.message}\n`);
      process.exit(EXIT.unavailable);
    });
  }
  process.stdout.write(text);
}
