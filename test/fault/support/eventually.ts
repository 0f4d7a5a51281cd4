// Waiting for what other processes do: on a condition, with a deadline that a loaded machine keeps too.

import { setTimeout } from 'node:timers/promises';

/** Ends as soon as `condition` holds; throws when it does not within `ms`. */
export async function eventually(condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition());) {
    if (performance.now() > end) throw new Error(`did not come true within ${ms} ms: ${condition.toString()}`);
    await setTimeout(2);
  }
}
