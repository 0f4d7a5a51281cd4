// The long form of thread-ends.test.ts: first the addon with the crash points, then that of AddressSanitizer.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { buildAddressAddon } from './addon/build-address.mjs';

const root = join(import.meta.dirname, '../..');
const test = ['vitest', 'run', '--config', '.config/vitest.fault.config.ts', 'test/fault/thread-ends.test.ts'];
const { addon, runtime } = buildAddressAddon();

for (const environment of [{}, { SEMLOCK_ENDS_ADDON: addon, SEMLOCK_ENDS_PRELOAD: runtime }]) {
  // 68 threads and nine exits for each of some 30 functions.
  const env = { ...process.env, SEMLOCK_ENDS_SHARE: '17', ...environment };
  const { status } = spawnSync('npx', test, { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) process.exit(1);
}
