// For the waits of every store. Many of them may share one AbortSignal. A listener for each would make adding them
// quadratic, because an EventTarget looks through all it has; so each signal gets one listener, which knows the waits.

type OnAbort = (reason: unknown) => void;

const waits = new WeakMap<AbortSignal, Map<object, OnAbort>>();

/** Calls `callback` when `signal` aborts, unless `wait` was forgotten before. */
export function onAbort(signal: AbortSignal, wait: object, callback: OnAbort): void {
  let all = waits.get(signal);
  if (all === undefined) {
    all = new Map<object, OnAbort>();
    waits.set(signal, all);
    signal.addEventListener('abort', callAll, { once: true });
  }
  all.set(wait, callback);
}

/** The wait is over. */
export function forgetAbort(signal: AbortSignal, wait: object): void {
  const all = waits.get(signal);
  if (all === undefined || !all.delete(wait) || all.size > 0) return;
  waits.delete(signal);
  signal.removeEventListener('abort', callAll);
}

function callAll(this: AbortSignal): void {
  const all = waits.get(this);
  waits.delete(this);
  for (const callback of all?.values() ?? []) callback(this.reason);
}
