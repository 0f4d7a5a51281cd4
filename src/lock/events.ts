// What the addon tells this thread: grants of its waits, and thefts of permits that it watches. They come in batches,
// through an inbox that the event loop polls (native/core/inbox.h).

import { FIELDS_PER_EVENT, native } from '../native.js';

const { lockEvents } = native;

/** Called once, with what became of a wait or a watched permit: {@link STOLEN}, or the entry that was granted. */
export type EventListener = (entry: number, token: number, abandoned: boolean) => void;

const listeners = new Map<number, EventListener>();
let subscribed = false;
let waiting = 0;

/** To be called before the addon is asked to wait or to watch. */
export function subscribe(): void {
  if (subscribed) return;
  subscribed = true;
  native.lockOnEvents((count) => {
    // A copy, where a listener that runs the event loop itself could have the next events written over the rest.
    const events = count === 1 ? lockEvents : lockEvents.slice(0, count * FIELDS_PER_EVENT);
    for (let at = 0; at < count * FIELDS_PER_EVENT; at += FIELDS_PER_EVENT) {
      const id = events[at]!;
      const listener = listeners.get(id);
      listeners.delete(id);
      listener?.(events[at + 1]!, events[at + 2]!, events[at + 3] !== 0);
    }
  });
}

/** Has `listener` called with the event of that id. */
export function listen(id: number, listener: EventListener): void {
  listeners.set(id, listener);
}

/** For an event that will not come any more. */
export function unlisten(id: number): void {
  listeners.delete(id);
}

/** Somebody waits (+1), or does not any more (-1). As long as there is one, the event loop is kept running. */
export function countWaiting(change: 1 | -1): void {
  subscribe();
  const before = waiting;
  waiting += change;
  if ((before === 0) !== (waiting === 0)) native.lockKeepAlive(waiting > 0);
}
