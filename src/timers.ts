// The timers of Node.js as they are when this is loaded. A test that puts its own in their place (Jest, Vitest and
// Sinon do) stops the clock of the app that it tests, and not that of the lock: a wait would never end.

export const { clearInterval, clearTimeout, queueMicrotask, setImmediate, setInterval, setTimeout } = globalThis;

/** Milliseconds that only grow. */
export const now = performance.now.bind(performance);
