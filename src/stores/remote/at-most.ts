import { clearTimeout, setTimeout } from '../../timers.js';

/** Waits for a promise that may never settle, as when a server does not answer, but for so long at most. Does not reject. */
export async function atMost(ms: number, done: Promise<unknown> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([done?.catch(() => undefined), late]);
  clearTimeout(timer);
}
