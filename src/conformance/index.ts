/**
 * One suite for every store: a store that keeps the contract of src/store.ts passes it. It runs in Vitest, Jest and
 * node:test, and so needs nothing but `describe` and `it`.
 *
 * @module semlock/conformance
 */

import { describe as inspect } from '../errors.js';
import type { LockStore } from '../store.js';
import { aborts } from './aborts.js';
import { basics } from './basics.js';
import { sharing } from './sharing.js';
import { thefts } from './thefts.js';
import { waits } from './waits.js';

/** What a suite is made with. */
export interface Conformance {
  /**
   * Gives the store, in which the suite uses namespaces of its own. It is called several times: give a new client of the same
   * server each time, or the same store in memory.
   */
  readonly store: () => LockStore;
  /** Default: the global one, as in Jest, or in Vitest with `globals`. */
  readonly describe?: (name: string, define: () => void) => unknown;
  /** As {@link describe}. */
  readonly it?: (name: string, test: () => Promise<void>) => unknown;
}

/** One thing that is tested; `undefined` in place of it where the store cannot do that. */
export type Tests = Record<string, ((store: () => LockStore) => Promise<void>) | undefined>;

/**
 * Defines the tests of a store.
 *
 * @example
 * ```ts
 * import { describe, it } from 'node:test';
 * import { memoryStore } from 'semlock';
 * import { testStore } from 'semlock/conformance';
 *
 * const store = memoryStore();
 * testStore({ store: () => store, describe, it });
 * ```
 */
export function testStore({ store, describe = globally('describe'), it = globally('it') }: Conformance): void {
  const { name, can } = store();
  const parts = {
    basics: basics(can),
    waits: waits(can),
    aborts: aborts(can),
    sharing: sharing(can),
    thefts: thefts(can),
  };
  for (const [part, tests] of Object.entries(parts)) {
    const possible = Object.entries(tests).flatMap(([what, test]) => (test === undefined ? [] : [{ what, test }]));
    if (possible.length === 0) continue; // runners fail for a suite without tests
    describe(`The store "${name}": ${part}`, () => {
      for (const { what, test } of possible) it(what, () => test(store));
    });
  }
}

function globally<Name extends 'describe' | 'it'>(name: Name): NonNullable<Conformance[Name]> {
  const found = (globalThis as unknown as Partial<Record<Name, unknown>>)[name];
  if (typeof found === 'function') return found as NonNullable<Conformance[Name]>;
  throw new TypeError(
    `testStore() needs the function "${name}" of the test runner, but the global one is ${inspect(found)}`,
  );
}
