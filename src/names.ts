// What tells a lock from all others: the identity of its namespace, its own within that, and which names are allowed.

import type { BinaryToTextEncoding, hash as Hash } from 'node:crypto';

import { describe, SemlockError } from './errors.js';

/** Who owns a namespace: a user, or a group. */
export interface Owners {
  readonly kind: 'user' | 'group';
  /** The number of the user or the group. */
  readonly id: number;
}

/** What tells one namespace of its owners from all others, in 22 characters that suit a file name. Default: this user's. */
export function namespaceId(namespace: string, owners?: Owners): string {
  const whose = ownersText(owners);
  if (lastId?.whose !== whose || lastId.namespace !== namespace) {
    lastId = { whose, namespace, id: sha256(`${whose}\0${namespace}`, 'base64url').slice(0, 22) };
  }
  return lastId.id;
}

/** The locks of a user are the same for that user and for root, who names that user. */
function ownersText(owners: Owners | undefined): string {
  if (owners?.kind === 'group') return `group ${owners.id}`;
  return String(owners?.id ?? process.geteuid?.() ?? 0);
}

/**
 * The id of the namespace that a semaphore of the user's choice has to itself. One semaphore must be one lock: a process
 * with the semaphore under another name, or in another app, would take its holders for foreign programs, whose death
 * cannot be noticed.
 */
export function posixNamespaceId(posixName: string, owners?: Owners): string {
  // No NUL: what no namespace's id is made of.
  return sha256(`${ownersText(owners)} ${posixName}`, 'base64url').slice(0, 22);
}

/** The last namespace: a program opens many locks in one, as a rule, and to hash it takes longer than to open a lock. */
let lastId: { readonly whose: string; readonly namespace: string; readonly id: string } | undefined;

/**
 * What tells a lock from all others of its namespace: 32 bytes, each a character of the result. As a `Buffer` they would
 * take three times as long to make (Node.js 20).
 */
export function digest(lockName: string): string {
  return sha256(lockName, 'binary');
}

/** What hashes until {@link useHash}, and where that has nothing. */
let hash: typeof Hash | undefined;
let quickHash: ((text: string) => string | undefined) | undefined;

/** SHA-256 of the UTF-16 code units: distinct strings, lone surrogates included, have distinct digests. */
function sha256(text: string, encoding: BinaryToTextEncoding): string {
  const quick = quickHash?.(text);
  if (quick !== undefined) return encoding === 'binary' ? quick : Buffer.from(quick, 'binary').toString(encoding);
  // Not imported: it takes as long to load as half of this package, and an import needs no hash.
  hash ??= process.getBuiltinModule('node:crypto').hash;
  return hash('sha256', Buffer.from(text, 'utf16le'), encoding);
}

/** Gives the addon's SHA-256 of UTF-16 code units, whose bytes are characters: it needs no `node:crypto`. */
export function useHash(other: typeof quickHash): void {
  quickHash = other;
}

/** @throws {@link SemlockError} `ERR_SEMLOCK_NAME` unless `name` is a non-empty string. */
export function checkLockName(owner: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '') {
    throw new SemlockError(
      'ERR_SEMLOCK_NAME',
      `${owner}: the name must be a non-empty string, but ${describe(name)} was given`,
    );
  }
}

/** The longest name of a named semaphore in bytes, slash included: Linux keeps it as a file `sem.<name>`. */
const MAX_POSIX_NAME_BYTES = 252;

/**
 * Checks the name of a POSIX semaphore before the system sees it: one slash, then 1 to 251 bytes without another.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_NAME`
 */
export function checkPosixName(owner: string, name: unknown): asserts name is string {
  const problem = posixNameProblem(name);
  if (problem === undefined) return;
  throw new SemlockError(
    'ERR_SEMLOCK_NAME',
    `${owner}: a semaphore's name is a slash and then 1 to ${MAX_POSIX_NAME_BYTES - 1} bytes without another slash ` +
      `or NUL, but ${describe(name)} ${problem}`,
    typeof name === 'string' ? { lockName: name } : {},
  );
}

function posixNameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string') return 'is not a string';
  if (!name.startsWith('/')) return 'does not start with a slash';
  if (name.length === 1) return 'has nothing after the slash';
  if (name.includes('/', 1)) return 'has a second slash';
  if (name.includes('\0')) return 'has a NUL';
  if (/\p{Surrogate}/u.test(name)) return 'has a lone surrogate, which has no bytes';
  const bytes = Buffer.byteLength(name);
  return bytes > MAX_POSIX_NAME_BYTES ? `has ${bytes} bytes` : undefined;
}
