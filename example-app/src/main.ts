// Where the example starts, in the primary and in every worker. Whatever keeps it from starting is told in one
// sentence: a stack trace would hide what to do.

import cluster from 'node:cluster';

import { readSettings, SettingError } from './settings.js';

try {
  const settings = readSettings(process.env);
  // Imported here and not above, because an error of a static import cannot be caught. To look loads the addon.
  const { locks } = await import('semlock');
  await locks.query();
  if (cluster.isPrimary) {
    const { runPrimary } = await import('./primary.js');
    runPrimary(settings);
  } else {
    const { runWorker } = await import('./worker.js');
    runWorker(settings);
  }
} catch (error) {
  const sentence = whyNotStarted(error);
  if (sentence === undefined) throw error;
  console.error(`example-app: ${sentence}`);
  process.exitCode = 1;
}

/** The sentence for an error that a user can do something about. */
function whyNotStarted(error: unknown): string | undefined {
  if (error instanceof SettingError) return error.message;
  const { code, message } = error as { code?: string; message: string };
  if (code?.startsWith('ERR_SEMLOCK_')) return message;
  if (code === 'ERR_MODULE_NOT_FOUND') return 'something is not installed or not built; run "npm ci && npm start"';
  return undefined;
}
