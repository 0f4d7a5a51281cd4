// A cron job under the lock of a file: it waits until the file is free, and is told when the run before it was killed.
import { readFile, writeFile } from 'node:fs/promises';

import { Lock, SemlockError } from 'semlock';

const file = 'data/sum';

try {
  await new Lock({ file }).run(
    async (held) => {
      if (held.abandoned) console.log('the last run was killed, so the file may be half written');
      await writeFile(file, String(Number(await readFile(file, 'utf8').catch(() => '0')) + 1));
      console.log('done');
    },
    { timeoutMs: Number(process.env.WAIT_MS ?? 60_000) },
  );
} catch (error) {
  if (!(error instanceof SemlockError && error.code === 'ERR_SEMLOCK_TIMEOUT')) throw error;
  console.log('the file is in use');
  process.exitCode = 75;
}
