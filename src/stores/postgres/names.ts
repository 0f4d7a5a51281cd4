// How names and statements are written for the server. All is printable ASCII, whatever the encoding of the database and
// the settings of the connection, so a statement needs no parameters: it is one message, which every pooler passes on.

import { hash } from 'node:crypto';

import { digest } from '../../names.js';
import type { LockId } from '../../store.js';

/** Any string, and no other gives the same: what is not printable ASCII, and `%`, is written as `%` and four digits. */
export function escaped(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function unescaped(text: string): string {
  return text.replace(/%([0-9a-f]{4})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

/** What tells a namespace from all others, in the server's table of those in which nothing is granted. */
export function spaceOf(namespace: string): string {
  return `\\x${Buffer.from(digest(namespace), 'latin1').toString('hex')}`;
}

/**
 * What tells a lock from all others. The schema is in it because the gate of a lock (see functions.ts) is the same for the
 * whole database.
 */
export function keyOf(schema: string, { namespace, name }: Pick<LockId, 'namespace' | 'name'>): string {
  const parts = [schema, namespace, name].map(escaped).join('\n'); // no name has a line break now
  return `\\x${hash('sha256', parts, 'hex')}`;
}

/** A value in a statement. */
export function literal(value: string | number | boolean | null): string {
  if (value === null) return 'NULL';
  if (typeof value !== 'string') return String(value);
  // A backslash is a character like others, unless standard_conforming_strings is off: so it is escaped where it is said to be.
  if (!/^[\x20-\x7e]*$/.test(value)) throw new TypeError(`not printable ASCII: ${escaped(value)}`);
  const quoted = value.replaceAll("'", "''");
  return value.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}
