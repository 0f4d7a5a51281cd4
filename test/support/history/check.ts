// Proves of a whole run, from what its clients wrote down, that the lock did what a lock promises. It knows nothing of how
// the lock is made, so the same check serves every store.

/** What one client wrote down. Times are of one clock for all clients, and a time of `undefined` never came. */
export interface Entry {
  readonly client: string;
  readonly lock: string;
  readonly mode: 'exclusive' | 'shared';
  /** When it began to ask. */
  readonly asked: number;
  /** When it knew that it had the lock; absent when it was refused, gave up or died. */
  readonly got?: number;
  readonly token?: number;
  /** Just before it began to release, or when it was dead for certain. */
  readonly gaveBack?: number;
  /** When it was told that it had lost the lock. */
  readonly lost?: number;
  /** Whether it stole the lock. */
  readonly stole?: boolean;
  /** Its place in the line, where requests are known to have stood in one. */
  readonly ticket?: number;
  /** What it read from a register that is guarded by the lock, and what it wrote there. */
  readonly read?: number;
  readonly wrote?: number;
}

export interface Rules {
  /** How many may have a lock at once. Default 1. */
  readonly permits?: number;
  /** When the run was over: each holder must have given the lock back before. */
  readonly end: number;
}

/** What is wrong with the run, in sentences; none when it is right. */
export function check(history: readonly Entry[], rules: Rules): string[] {
  const locks = new Map<string, Entry[]>();
  for (const entry of history) locks.set(entry.lock, [...(locks.get(entry.lock) ?? []), entry]);
  return [...locks.values()].flatMap((entries) => {
    const grants = entries.filter(isGrant).sort((a, b) => a.got - b.got);
    return [
      ...grants.flatMap((grant) => unlikely(grant, rules.end)),
      ...overlaps(grants, rules.permits ?? 1),
      ...tokensThatFall(grants),
      ...turnsOutOfOrder(grants),
      ...lostUpdates(grants),
    ];
  });
}

type Got = Entry & { readonly got: number; readonly token: number };

function isGrant(entry: Entry): entry is Got {
  return entry.got !== undefined && entry.token !== undefined;
}

const nameOf = ({ client, lock, token }: Entry) => `${client} with ${lock} (token ${token})`;

/** Until when it could count on the lock. */
const until = ({ gaveBack = Infinity, lost = Infinity }: Entry) => Math.min(gaveBack, lost);

function unlikely(grant: Got, end: number): string[] {
  const wrong: string[] = [];
  if (grant.got < grant.asked) wrong.push(`${nameOf(grant)} had it before it asked`);
  if (until(grant) < grant.got) wrong.push(`${nameOf(grant)} gave it back before it had it`);
  if (until(grant) > end) wrong.push(`${nameOf(grant)} neither gave it back nor lost it`);
  if (!Number.isSafeInteger(grant.token)) wrong.push(`${nameOf(grant)} has no token that is a safe integer`);
  return wrong;
}

/**
 * No two holds that exclude each other are valid at once, and no more than there are permits. A thief does not wait until
 * its victim has been told, so who lost the lock to one may meet it, and those after it.
 */
function overlaps(grants: readonly Got[], permits: number): string[] {
  const wrong: string[] = [];
  const thefts = grants.filter(({ stole }) => stole).map(({ token }) => token);
  const robbedBefore = (one: Got, other: Got): boolean =>
    one.lost !== undefined && thefts.some((token) => one.token < token && token <= other.token);
  let holders: Got[] = [];
  for (const grant of grants) {
    holders = holders.filter((other) => until(other) > grant.got);
    const holding = holders.filter((other) => !robbedBefore(other, grant) && !robbedBefore(grant, other));
    const readers = grant.mode === 'shared' && holding.every(({ mode }) => mode === 'shared');
    if (!readers && holding.length >= permits) {
      wrong.push(`${nameOf(grant)} had it together with ${holding.map(nameOf).join(' and ')}`);
    }
    holders.push(grant);
  }
  return wrong;
}

/** Of two holds of which one was over before the other was asked for, the later one has the larger token. */
function tokensThatFall(grants: readonly Got[]): string[] {
  const wrong: string[] = [];
  const tokens = new Map<number, Got>();
  for (const grant of grants) {
    const twin = tokens.get(grant.token);
    if (twin !== undefined) wrong.push(`${nameOf(grant)} has the token of ${twin.client}`);
    tokens.set(grant.token, grant);
  }
  const byEnd = [...grants].sort((a, b) => until(a) - until(b));
  let [next, largest] = [0, undefined as Got | undefined];
  for (const grant of [...grants].sort((a, b) => a.asked - b.asked)) {
    for (; next < byEnd.length && until(byEnd[next]!) < grant.asked; next += 1) {
      if (largest === undefined || byEnd[next]!.token > largest.token) largest = byEnd[next];
    }
    if (largest !== undefined && largest.token > grant.token) {
      wrong.push(`${nameOf(grant)} came after ${nameOf(largest)} and has a smaller token`);
    }
  }
  return wrong;
}

/** Whoever stood in line before another has the smaller token; readers that were served together may have any. */
function turnsOutOfOrder(grants: readonly Got[]): string[] {
  const line = grants.filter(({ ticket }) => ticket !== undefined).sort((a, b) => a.ticket! - b.ticket!);
  return line.slice(1).flatMap((grant, index) => {
    const before = line[index]!;
    if (before.token < grant.token || (before.mode === 'shared' && grant.mode === 'shared')) return [];
    return [`${nameOf(grant)} was served before ${nameOf(before)}, who stood in line ahead`];
  });
}

/**
 * A register that refuses writes with an old token: whoever wrote has read what the writer with the next smaller token had
 * written.
 */
function lostUpdates(grants: readonly Got[]): string[] {
  const writers = grants.filter(({ wrote }) => wrote !== undefined).sort((a, b) => a.token - b.token);
  return writers.slice(1).flatMap((grant, index) => {
    const before = writers[index]!;
    if (grant.read === before.wrote) return [];
    return [
      `${nameOf(grant)} read ${grant.read}, but ${nameOf(before)} had written ${before.wrote}: an update was lost`,
    ];
  });
}
