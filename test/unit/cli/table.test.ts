// What a terminal shows is as wide as it shows it, not as long as its text.

import { describe, expect, it } from 'vitest';

import { columns, cut, plain, width } from '../../../src/cli/table.js';

describe('the width of a text', () => {
  it.each([
    ['report', 6],
    ['Zürich', 6],
    ['u\u0308ber', 4],
    ['会議室', 6],
    ['보고서', 6],
    ['ｆｕｌｌ', 8],
    ['🍕', 2],
    ['🇫🇷', 2],
    ['❤️', 2],
    ['❤', 1],
    ['…', 1],
  ])('is what a terminal makes of it: %s', (text, columnsTaken) => {
    expect(width(text)).toBe(columnsTaken);
  });

  it('is what columns are aligned by', () => {
    expect(
      columns([
        ['会議室', 'a'],
        ['report', 'b'],
        ['🍕', { text: 'c', colour: '1m' }],
      ]),
    ).toBe('会議室  a\nreport  b\n🍕      \u001b[1mc\u001b[m\n');
  });
});

describe('a line that has no room', () => {
  it.each([
    ['report', 6, 'report'],
    ['reports', 6, 'repor…'],
    ['会議室', 6, '会議室'],
    ['会議室', 5, '会議…'],
    ['会議室', 4, '会…'],
  ])('is cut: %s to %i', (line, room, shown) => {
    expect(cut(line, room)).toBe(shown);
    expect(width(cut(line, room))).toBeLessThanOrEqual(room);
  });

  it('has no colour behind its end', () => {
    const line = `a \u001b[31mred one\u001b[m b`;
    expect(cut(line, 11)).toBe(line);
    expect(cut(line, 6)).toBe('a \u001b[31mred…\u001b[m');
    expect(plain(cut(line, 10))).toBe('a red one…');
  });
});
