// Asks what became of the requests of this thread that wait, while no notices come: soon at first, and less and less often
// while nothing happens.

import { clearTimeout, setTimeout } from '../../timers.js';

interface Waiting {
  readonly sid: string;
  readonly request: number;
}

const [FIRST_MS, LAST_MS] = [10, 1_000];

export class Polling<Told extends Waiting> {
  readonly #ask: (sids: readonly string[], requests: readonly number[]) => Promise<readonly Told[]>;
  readonly #tell: (told: Told) => void;
  readonly #waiting = new Map<string, Waiting>();
  #on = true;
  #waitMs = FIRST_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    ask: (sids: readonly string[], requests: readonly number[]) => Promise<readonly Told[]>,
    tell: (told: Told) => void,
  ) {
    this.#ask = ask;
    this.#tell = tell;
  }

  /** Whether it is needed. */
  set on(on: boolean) {
    this.#on = on;
    this.#start();
  }

  add(sid: string, request: number): void {
    const key = keyOf(sid, request);
    if (this.#waiting.has(key)) return;
    this.#waiting.set(key, { sid, request });
    this.#start();
  }

  delete(sid: string, request: number): void {
    this.#waiting.delete(keyOf(sid, request));
  }

  forget(sid: string): void {
    for (const [key, waiting] of this.#waiting) if (waiting.sid === sid) this.#waiting.delete(key);
  }

  close(): void {
    this.#waiting.clear();
    clearTimeout(this.#timer);
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#waitMs = FIRST_MS;
    this.#next();
  }

  #next(): void {
    if (!this.#on || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => void this.#poll(), this.#waitMs);
    this.#timer.unref(); // the wait itself keeps the process alive
    this.#waitMs = Math.min(this.#waitMs * 1.5, LAST_MS);
  }

  async #poll(): Promise<void> {
    const waiting = [...this.#waiting.values()];
    try {
      const told = await this.#ask(
        waiting.map(({ sid }) => sid),
        waiting.map(({ request }) => request),
      );
      for (const each of told) {
        this.delete(each.sid, each.request);
        this.#tell(each);
      }
      if (told.length > 0) this.#waitMs = FIRST_MS;
    } catch {
      // The server cannot be reached: those who wait hear of that otherwise.
    }
    clearTimeout(this.#timer);
    this.#next();
  }
}

function keyOf(sid: string, request: number): string {
  return `${sid}/${request}`;
}
