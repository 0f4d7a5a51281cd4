// Processes that are killed while they use a store on a server leave the tables by which those of this machine know them.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../../dist/cli/semlock.js', import.meta.url));

export function teardown(): void {
  execFileSync(process.execPath, [COMMAND, 'prune']);
}
