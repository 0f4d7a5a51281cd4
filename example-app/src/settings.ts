// What the environment can change. Everything is checked before a worker starts, so that a typing error is one clear
// sentence and not a server that runs with something else.

/** Which lock the routes use: one that all workers share, one that each worker has for itself, or none. */
export const LOCK_MODES = ['process', 'thread', 'none'] as const;
export type LockMode = (typeof LOCK_MODES)[number];

export interface Settings {
  /** `PORT`; 0 takes any free one. */
  readonly port: number;
  /** `WORKERS` */
  readonly workers: number;
  /** `LOCK` */
  readonly lock: LockMode;
}

/** An environment variable that cannot be used; the message is a sentence for the user. */
export class SettingError extends Error {}

/** @throws {@link SettingError} for the first variable that has a wrong value. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    port: wholeNumber('PORT', env['PORT'], 0, 65_535, 3000),
    workers: wholeNumber('WORKERS', env['WORKERS'], 1, 64, 4),
    lock: lockMode(env['LOCK']),
  };
}

function wholeNumber(name: string, text: string | undefined, min: number, max: number, fallback: number): number {
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new SettingError(`${name} must be a whole number from ${min} to ${max}, but is ${JSON.stringify(text)}`);
  }
  return value;
}

function lockMode(text: string | undefined): LockMode {
  if (text === undefined || text === '') return 'process';
  const mode = LOCK_MODES.find((known) => known === text);
  if (mode === undefined) {
    throw new SettingError(`LOCK must be one of ${LOCK_MODES.join(', ')}, but is ${JSON.stringify(text)}`);
  }
  return mode;
}
