// The timers of Node.js as they are when this is loaded. A test that puts its own in their place (Jest, Vitest and
// Sinon do) stops the clock of the app that it tests, and not that of the lock: a wait would never end.

export const { clearInterval, clearTimeout, queueMicrotask, setImmediate, setInterval, setTimeout } = globalThis;

/** `performance` would take Node.js a millisecond to load. */
const hrtime = process.hrtime;

/** Milliseconds that only grow. */
export function now(): number {
  const [seconds, nanoseconds] = hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
