// Text for terminals: names that may hold anything, and spans of time.

const LONGEST_NAME = 80;

/** A name on one line, without characters that a terminal obeys or hides, and cut when it is very long. */
export function printable(name: string): string {
  const characters = Array.from(name);
  const shown = characters
    .slice(0, LONGEST_NAME)
    .join('')
    .replace(/[\\\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escape);
  return characters.length > LONGEST_NAME ? `${shown}…` : shown;
}

function escape(character: string): string {
  const known = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  return known ?? `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** A span of time in its two largest units: `5s`, `2m 5s`, `3h 0m`, `4d 7h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000)); // the clock may have been set back
  const [minutes, hours, days] = [Math.floor(seconds / 60), Math.floor(seconds / 3600), Math.floor(seconds / 86_400)];
  if (days > 0) return `${days}d ${hours % 24}h`;
  if (hours > 0) return `${hours}h ${minutes % 60}m`;
  return minutes > 0 ? `${minutes}m ${seconds % 60}s` : `${seconds}s`;
}

/** An amount of memory: `4 KiB`, `1.4 MiB`. */
export function size(bytes: number): string {
  const kib = bytes / 1024;
  return kib < 1024 ? `${Math.round(kib)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}

/** What people call a namespace. */
export function nameOf(it: { readonly namespace?: string; readonly posixName?: string; readonly id: string }): string {
  if (it.posixName !== undefined) return `posixName ${printable(it.posixName)}`;
  return it.namespace === undefined ? `unknown (${it.id})` : printable(it.namespace);
}
