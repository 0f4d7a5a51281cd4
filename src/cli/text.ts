// Text for terminals: names that may hold anything, spans of time, and columns.

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

/** Rows as lines with aligned columns. The last column is as wide as it likes, so text of unknown width goes there. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  return rows.map((row) => `${line(row)}\n`).join('');
}
