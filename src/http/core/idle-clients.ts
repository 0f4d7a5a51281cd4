// Clients that keep a lock by doing nothing: they stop reading their answer, or sending their body. Each of them would
// lock everybody out, so it is disconnected; from there on the lock is released as for any client that leaves. What the
// handler does or does not do has no effect on this.

import { clearInterval, now, setInterval } from '../../timers.js';
import type { Exchange } from './exchange.js';

export interface Limits {
  /** How long a client may do nothing while it is waited for; 0: forever. */
  readonly stallMs: number;
  /** How long a lock may be held before its client is disconnected; `undefined`: forever. */
  readonly maxHoldMs: number | undefined;
}

export interface Supervision {
  end(): void;
}

const PERIOD_MS = 250;

/** Those whose request holds a lock and has not been answered at once. */
const supervised = new Set<ClientWatch>();
let interval: NodeJS.Timeout | undefined;
let lastLook = 0;

/** Watches the client of `exchange` as long as the lock of that name is held. */
export function superviseClient(exchange: Exchange, name: string, limits: Limits): Supervision {
  const watch = new ClientWatch(exchange, name, limits);
  supervised.add(watch);
  if (interval === undefined) {
    lastLook = now();
    interval = setInterval(lookAtAll, PERIOD_MS).unref();
  }
  return watch;
}

function lookAtAll(): void {
  if (supervised.size === 0) {
    clearInterval(interval);
    interval = undefined;
    return;
  }
  // When this thread did not look, neither did it read what clients have sent: that time is not theirs.
  const time = now();
  const passedMs = Math.min(time - lastLook, 2 * PERIOD_MS);
  lastLook = time;
  for (const watch of supervised) watch.look(passedMs, time);
}

class ClientWatch implements Supervision {
  readonly #exchange: Exchange;
  readonly #name: string;
  readonly #limits: Limits;
  readonly #beginning = now();
  readonly #answer = new Progress();
  readonly #body = new Progress();

  constructor(exchange: Exchange, name: string, limits: Limits) {
    this.#exchange = exchange;
    this.#name = name;
    this.#limits = limits;
  }

  end(): void {
    supervised.delete(this);
  }

  look(passedMs: number, time: number): void {
    const { stallMs, maxHoldMs } = this.#limits;
    const takesNothingMs = this.#answer.idleMs(this.#exchange.taken(), passedMs);
    const sendsNothingMs = this.#body.idleMs(this.#exchange.sent(), passedMs);
    if (stallMs > 0 && (takesNothingMs >= stallMs || sendsNothingMs >= stallMs)) this.#disconnect();
    else if (maxHoldMs !== undefined && time - this.#beginning >= maxHoldMs) {
      warnOfLongHold(this.#name, this.#exchange, maxHoldMs);
      this.#disconnect();
    }
  }

  #disconnect(): void {
    this.end();
    this.#exchange.disconnect();
  }
}

/** How long a number has not grown. */
class Progress {
  #most: number | undefined;
  #idleMs = 0;

  idleMs(value: number | undefined, passedMs: number): number {
    if (value === undefined || this.#most === undefined || value > this.#most) {
      this.#most = value;
      this.#idleMs = 0;
    } else {
      this.#idleMs += passedMs;
    }
    return this.#idleMs;
  }
}

function warnOfLongHold(name: string, exchange: Exchange, maxHoldMs: number): void {
  process.emitWarning(
    `The client of ${exchange.title()} was disconnected, because its request has held the lock "${name}" for ` +
      `${maxHoldMs} ms. The lock is released when the handler ends. If it takes that long, raise the option maxHoldMs.`,
    { type: 'SemlockWarning', code: 'SEMLOCK_MAX_HOLD' },
  );
}
