// The file that file locks are taken on.

import { openSync } from 'node:fs';
import { join } from 'node:path';

export function lockPath(folder) {
  return join(folder, 'locked');
}

/** Creates it where it does not exist; gives the file descriptor. */
export function lockFile(folder) {
  return openSync(lockPath(folder), 'a+');
}
