// How namespaces and names are written at the server.

import { createHash } from 'node:crypto';

/**
 * What tells a namespace from all others. In braces, because a cluster puts keys with the same word in braces in one
 * slot. The user of the process is no part of it: users of one server are told apart by its own rules.
 */
export function keyOf(prefix: string, namespace: string): string {
  const id = createHash('sha256').update(Buffer.from(namespace, 'utf16le')).digest('base64url').slice(0, 22);
  return `${prefix}:{${id}}`;
}

/** Names can have lone surrogates, which UTF-8 cannot tell apart. */
export function fieldOf(name: string): string {
  return /\p{Surrogate}/u.test(name) ? `~${Buffer.from(name, 'utf16le').toString('base64url')}` : `=${name}`;
}

export function nameOf(field: string): string {
  return field.startsWith('=') ? field.slice(1) : Buffer.from(field.slice(1), 'base64url').toString('utf16le');
}
