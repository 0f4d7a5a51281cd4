import { clearTimeout, setTimeout } from '../../timers.js';

/** Waits for what may never be done, as where a server does not answer any more, and for so long at most. Does not reject. */
export async function atMost(ms: number, done: Promise<unknown> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([done?.catch(() => undefined), late]);
  clearTimeout(timer);
}
