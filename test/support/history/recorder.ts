// What a client of a run writes down of its use of a lock, for check.ts.

import type { Held } from '../../../src/hold.js';
import type { Entry } from './check.js';

/** Milliseconds of one clock for all processes of a machine. */
export const now = (): number => performance.timeOrigin + performance.now();

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Recorder {
  readonly history: Mutable<Entry>[] = [];

  /** Asks by `acquire`, works, and releases by `release`; what fails is written down as that. */
  async use(
    client: string,
    lock: string,
    mode: 'exclusive' | 'shared',
    acquire: () => Promise<Held | null>,
    work: (entry: Mutable<Entry>) => Promise<void>,
  ): Promise<void> {
    const entry: Mutable<Entry> = { client, lock, mode, asked: now() };
    this.history.push(entry);
    const hold = await acquire().catch(() => null);
    if (hold === null) return;
    entry.got = now();
    entry.token = hold.token;
    hold.signal.addEventListener('abort', () => (entry.lost = now()));
    if (hold.signal.aborted) entry.lost = entry.got;
    await work(entry);
    entry.gaveBack = now();
    await hold[Symbol.asyncDispose]();
  }
}
