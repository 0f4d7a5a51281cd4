// What locks tell their observers, on channels of node:diagnostics_channel. As a rule a channel has no subscribers, so each
// publisher checks for them first, and computes nothing where there are none.

import { channel, type Channel } from 'node:diagnostics_channel';

/** What subscribers of the channels `semlock:…` are given. */
export interface LockMessage {
  /** The lock's name. */
  readonly name: string;
  /** The lock's namespace. */
  readonly namespace: string;
  /** How it is held, or was asked for. */
  readonly mode: 'exclusive' | 'shared';
  /** The process that tells this: always this one. */
  readonly pid: number;
  /** The fencing token; `undefined` if the lock was not acquired. */
  readonly token: number | undefined;
  /**
   * How long the wait for the lock took (`acquired`, `busy`, `waited`, `abandoned`), or how long it was held (`released`,
   * `orphaned`, `lost`), in milliseconds. `undefined` for what began before the first subscription.
   */
  readonly durationMs: number | undefined;
}

/** What subscribers of the channel `semlock:lost` are given. */
export interface LostMessage extends LockMessage {
  /** Why, with the code `ERR_SEMLOCK_LOST`. */
  readonly reason: Error;
}

/** All channels; docs/diagnostics.md says when each gets a message. */
export const channels = {
  acquired: channel('semlock:acquired'),
  busy: channel('semlock:busy'),
  waited: channel('semlock:waited'),
  released: channel('semlock:released'),
  abandoned: channel('semlock:abandoned'),
  orphaned: channel('semlock:orphaned'),
  lost: channel('semlock:lost'),
} as const;

/**
 * What requests of the Web Locks API tell beside that, under the names that Node.js 26 has for those of its own:
 * https://nodejs.org/api/diagnostics_channel.html#web-locks. Observers of the one see the other.
 */
export const requestChannels = {
  start: channel('locks.request.start'),
  grant: channel('locks.request.grant'),
  miss: channel('locks.request.miss'),
  end: channel('locks.request.end'),
} as const;

/** What subscribers of the channels `locks.request.…` are given. */
export interface RequestMessage {
  /** The lock's name. */
  readonly name: string;
  /** How it was asked for. */
  readonly mode: 'exclusive' | 'shared';
  /** Whether it was asked for only if it is free. */
  readonly ifAvailable: boolean;
  /** Whether it was to be taken from its holder. */
  readonly steal: boolean;
  /** At the end of a request that was rejected: the reason. */
  readonly error?: unknown;
}

/** Tells what became of a request, if anybody listens. */
export function publishRequest(
  event: keyof typeof requestChannels,
  { name, mode, ifAvailable, steal }: RequestMessage,
  error?: unknown,
): void {
  const to = requestChannels[event];
  if (to.hasSubscribers) to.publish({ name, mode, ifAvailable, steal, error } satisfies RequestMessage);
}

/** A lock, as messages call it. */
export interface LockSubject {
  readonly name: string;
  readonly namespace: string;
  /** Nobody is told of it: it only stands for a lock that is told of. */
  readonly quiet?: boolean;
}

/** The message that {@link publish} sends. */
export function lockMessage(
  { name, namespace }: LockSubject,
  mode: LockMessage['mode'],
  token?: number,
  durationMs?: number,
): LockMessage {
  return { name, namespace, mode, pid: process.pid, token, durationMs };
}

/** Tells the subscribers of `to`, if there are any. What they throw is theirs: it never comes back here. */
export function publish(
  to: Channel,
  lock: LockSubject,
  mode: LockMessage['mode'],
  token?: number,
  durationMs?: number,
): void {
  if (to.hasSubscribers && lock.quiet !== true) to.publish(lockMessage(lock, mode, token, durationMs));
}

/** Tells that a hold was lost. */
export function publishLost(
  lock: LockSubject,
  mode: LockMessage['mode'],
  token: number,
  durationMs: number | undefined,
  reason: Error,
): void {
  if (!channels.lost.hasSubscribers || lock.quiet === true) return;
  channels.lost.publish({ ...lockMessage(lock, mode, token, durationMs), reason } satisfies LostMessage);
}

/** Now, as the beginning of a wait. */
export function waitBegins(): number | undefined {
  const { acquired, busy, waited, abandoned } = channels;
  const observed = acquired.hasSubscribers || busy.hasSubscribers || waited.hasSubscribers || abandoned.hasSubscribers;
  return observed ? performance.now() : undefined;
}

/** Now, as the beginning of a hold. */
export function holdBegins(): number | undefined {
  const { released, orphaned, lost } = channels;
  const observed = released.hasSubscribers || orphaned.hasSubscribers || lost.hasSubscribers;
  return observed ? performance.now() : undefined;
}

/** The milliseconds since something began. */
export function since(beginning: number | undefined): number | undefined {
  return beginning === undefined ? undefined : performance.now() - beginning;
}
