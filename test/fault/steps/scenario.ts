// What a row of the kill matrix is: how a step of the protocol is reached, by whom, and who else is there. A scenario
// ends with a process dead at the step; what must hold then is the same for all of them and is said in matrix.ts.

import type { Grant, LockDescription, LockMode, LockProcess } from '../support/lock-process.js';
import type { Room } from '../support/room.js';

export type Role = 'holder' | 'waiter' | 'reader' | 'thief' | 'repairer' | 'newcomer' | 'leaver' | 'cleaner';

export interface Variant {
  readonly permits: 1 | 3;
  readonly foreign: boolean;
}

/** What a scenario is played with. */
export interface Stage {
  readonly room: Room;
  readonly lock: LockDescription;
  readonly variant: Variant;
  /**
   * A process that has used the lock before and now holds all of its permits but one, so that the one that is left is
   * what the test is about. It does not do anything else, and lives on.
   */
  witness(): Promise<Witness>;
  /** A process that has used the lock before. */
  user(): Promise<LockProcess>;
  /** The grant of a wait that is next when `before` has happened; how long it took from then on is checked. */
  servedAfter(before: Promise<unknown>, waiting: Promise<Grant | null>): Promise<Grant>;
}

export interface Witness {
  readonly process: LockProcess;
  readonly grants: readonly Grant[];
}

export interface Scenario {
  readonly role: Role;
  readonly title: string;
  /** Each of them is a case. */
  readonly steps: readonly string[];
  readonly onlyIf?: (variant: Variant, step: string) => boolean;
  /** Permits that are missing forever, as documented. Default: what {@link gapAt} says of the step. */
  readonly gap?: (variant: Variant, step: string) => number;
  play(stage: Stage, step: string): Promise<void>;
}

export const TAKE = [
  'acquire_latched',
  'acquire_permit_taken',
  'acquire_token_counted',
  'acquire_entry_filled',
  'acquire_tag_written',
  'acquire_counted',
];
export const GIVE_BACK = ['give_back_tag_cleared', 'give_back_counted', 'give_back_posted'];
export const RELEASE = ['release_latched', ...GIVE_BACK, 'release_left'];
export const HAND_ON = [
  'hand_on_permit_taken',
  'hand_on_granting',
  ...TAKE.slice(2),
  'hand_on_entry_written',
  'hand_on_granted',
];
export const CREATE = [
  'create_latched',
  'create_taken_from_free',
  'create_filled',
  'create_state_written',
  'create_linked',
];
/** Of opening a foreign semaphore that is there, or is made first. */
export const OPEN_FOREIGN = ['foreign_latched', 'foreign_opened'];
export const MAKE_FOREIGN = ['foreign_latched', 'semaphore_made', 'foreign_opened'];
export const isForeignStep = (step: string) => MAKE_FOREIGN.includes(step);

/** Between the semaphore and the table: with a foreign program nobody can say whose the permit is. */
const BETWEEN = [
  'hand_on_permit_taken',
  'hand_on_granting',
  'acquire_permit_taken',
  'acquire_token_counted',
  'acquire_entry_filled',
  'give_back_tag_cleared',
  'give_back_counted',
];
export const isBetween = (step: string) => BETWEEN.includes(step);
export const gapAt = ({ foreign }: Variant, step: string) => (foreign && isBetween(step) ? 1 : 0);

/** Of taking and giving back, the steps inside the latch of a record. */
export const INSIDE_LATCH = [...TAKE, 'release_latched', ...GIVE_BACK];
const LEAVES_ENTRY = ['acquire_tag_written', 'acquire_counted', 'release_latched'];

/** The steps that a process comes to that takes the latch over from one that died at `first`, when it tries. */
export function stepsOfRepair(first: string): string[] {
  return [
    'repair_taken_over',
    'repair_counted',
    ...(isBetween(first) ? ['repair_posted'] : []),
    ...(LEAVES_ENTRY.includes(first) ? ['sweep_found', ...GIVE_BACK] : []),
    ...TAKE,
    'acquire_left',
  ];
}

/** Far longer than anything here takes. */
export const LONG_MS = 15_000;

/** Brings the process to that step of taking or giving back a permit. */
export async function dieInside({ lock }: Stage, process: LockProcess, step: string, mode?: LockMode) {
  if (step.startsWith('acquire_')) {
    await process.dieAt(step, () => process.tryAcquire(lock, mode));
  } else {
    const grant = await process.takeOne(lock, mode);
    await process.dieAt(step, () => process.release(lock, grant));
  }
}
