// The figures of a question as rows of text, and those rows for a terminal or for Markdown.

import { format } from './format.mjs';

/** The head and the rows of a result's table. */
export function tableOf({ metrics, sides }) {
  const grouped = sides.some(({ group }) => group !== undefined);
  const head = [...(grouped ? ['where'] : []), 'side', ...metrics.map(({ title }) => title)];
  const rows = sides.map(({ name, group, failure, figures }) => [
    ...(grouped ? [group] : []),
    name,
    ...(failure === undefined
      ? metrics.map(({ key, unit }) => cell(figures[key], unit))
      : [`failed: ${failure}`, ...metrics.slice(1).map(() => '')]),
  ]);
  return [head, ...rows];
}

function cell({ value, low, high }, unit) {
  return `${format(value, unit)} (${format(low, unit)} – ${format(high, unit)})`;
}

/** The rows of what is to be reached. */
export function reachTable(reach) {
  return [
    ['to be reached', 'figure', ''],
    ...reach.map(({ claim, wanted, limit, unit, figure, reached }) => [
      `${claim}: ${wanted} ${format(limit, unit)}`,
      figure === undefined ? '–' : format(figure, unit),
      reached === undefined ? 'not measured' : reached ? 'reached' : '**not reached**',
    ]),
  ];
}

export function forTerminal(rows) {
  const plain = rows.map((row) => row.map((text) => text.replaceAll('**', '')));
  const widths = plain[0].map((_, column) => Math.max(...plain.map((row) => width(row[column]))));
  return plain
    .map((row) =>
      row
        .map((text, column) => text.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A failure may run on: no other column has to make room for it. */
function width(text) {
  return text.startsWith('failed: ') ? 0 : text.length;
}

export function forMarkdown(rows) {
  const cells = rows.map((row) => row.map((text) => text.replaceAll('|', '\\|')));
  const widths = cells[0].map((_, column) => Math.max(3, ...cells.map((row) => row[column].length)));
  const line = (row) => `| ${row.map((text, column) => text.padEnd(widths[column])).join(' | ')} |`;
  const [head, ...rest] = cells;
  return [line(head), line(widths.map((length) => '-'.repeat(length))), ...rest.map(line)].join('\n');
}
