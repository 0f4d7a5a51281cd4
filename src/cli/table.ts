// Tables for terminals: columns of what may be wide or coloured, in lines that have room.

/** Text in a column, perhaps in a colour. */
export type Cell = string | { readonly text: string; readonly colour: string };

/** Colours, as ECMA-48 has them: what follows "ESC [". */
export const [HEADER, ALARM] = ['1m', '31m'];

/** Rows as lines with aligned columns. The last column is as wide as it likes. */
export function columns(rows: readonly (readonly Cell[])[]): string {
  const textOf = (cell: Cell) => (typeof cell === 'string' ? cell : cell.text);
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => width(textOf(row[column]!))))) ?? [];
  const line = (row: readonly Cell[]) => {
    const last = row.findLastIndex((cell) => textOf(cell) !== '');
    return row
      .slice(0, last + 1)
      .map(
        (cell, column) =>
          coloured(cell, textOf(cell)) + ' '.repeat(column < last ? widths[column]! - width(textOf(cell)) : 0),
      )
      .join('  ');
  };
  return rows.map((row) => `${line(row)}\n`).join('');
}

function coloured(cell: Cell, text: string): string {
  return typeof cell === 'string' ? text : `\u001b[${cell.colour}${text}\u001b[m`;
}

// Letters with their marks, and flags of two letters, each as a terminal shows it.
const graphemes = new Intl.Segmenter('en');
const WIDE =
  /\p{Emoji_Presentation}|\uFE0F|[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303E\uFF01-\uFF60\uFFE0-\uFFE6]/u;
// eslint-disable-next-line no-control-regex
const COLOUR = /(\u001b\[\d*m)/;

/**
 * How many columns of a terminal a text takes that has no colours. The `string-width` that everybody takes is an ES module,
 * and brings packages of its own, where all of semlock has one: for names of locks this is enough.
 */
export function width(text: string): number {
  // eslint-disable-next-line no-control-regex
  if (/^[\x00-\x7F]*$/.test(text)) return text.length;
  let all = 0;
  for (const { segment } of graphemes.segment(text)) all += WIDE.test(segment) ? 2 : 1;
  return all;
}

/** A line, perhaps with colours, cut so that it has room in so many columns. */
export function cut(line: string, room: number): string {
  if (width(plain(line)) <= room) return line;
  let left = room - 1;
  let shown = '';
  for (const part of line.split(COLOUR)) {
    if (COLOUR.test(part)) {
      shown += part;
      continue;
    }
    for (const { segment } of graphemes.segment(part)) {
      left -= width(segment);
      if (left < 0) break;
      shown += segment;
    }
    if (left < 0) return `${shown}…${shown.includes('\u001b') ? '\u001b[m' : ''}`;
  }
  return shown;
}

/** Without colours. Names have none: they are {@link printable}. */
export function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/\u001b\[\d*m/g, '');
}
