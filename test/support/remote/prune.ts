// Processes that are killed while they use a store on a server leave the tables by which those of this machine know them.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../../dist/command.js', import.meta.url));

export function teardown(): void {
  // Their deaths are news, too. Where people work there may be news for other apps, which stays.
  execFileSync(process.execPath, [COMMAND, 'prune', ...(process.env['CI'] === 'true' ? ['--all'] : [])]);
}
