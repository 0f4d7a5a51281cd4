// A check that never complains is worth nothing: it is shown wrong runs of every kind, and right ones that look wrong.

import { describe, expect, it } from 'vitest';

import { check, type Entry } from '../../support/history/check.js';

/** A client that asked at `asked`, had the lock from `got` to `gaveBack`, with that token. */
const hold = (
  asked: number,
  got: number,
  gaveBack: number | undefined,
  token: number,
  more: Partial<Entry> = {},
): Entry => ({
  client: `client ${token}`,
  lock: 'file',
  mode: 'exclusive',
  asked,
  got,
  token,
  ...(gaveBack === undefined ? {} : { gaveBack }),
  ...more,
});
const read = { mode: 'shared' } as const;

describe('a right run', () => {
  it.each<[string, Entry[], number?]>([
    ['holds one after the other', [hold(0, 1, 2, 1), hold(0, 3, 4, 2), hold(5, 6, 7, 3)]],
    ['readers together, and a writer after them', [hold(0, 1, 5, 1, read), hold(0, 2, 6, 2, read), hold(0, 7, 8, 3)]],
    ['one who was told of its loss, and works on beside the next', [hold(0, 1, 9, 1, { lost: 3 }), hold(2, 4, 5, 2)]],
    [
      'those who were refused, gave up or died as they asked',
      [hold(0, 1, 9, 1), { client: 'x', lock: 'file', mode: 'exclusive', asked: 2 }],
    ],
    ['as many as there are permits', [hold(0, 1, 5, 1), hold(0, 2, 6, 2), hold(0, 7, 8, 3)], 2],
    ['holds of different locks at once', [hold(0, 1, 5, 1), hold(0, 2, 6, 1, { lock: 'other' })]],
    ['a larger token first, of two who asked at the same time', [hold(0, 1, 2, 2), hold(0, 3, 4, 1)]],
    ['turns in the order of the line', [hold(0, 1, 2, 1, { ticket: 1 }), hold(0, 3, 4, 2, { ticket: 2 })]],
    [
      'a register that each has read after the one before',
      [hold(0, 1, 2, 1, { read: 0, wrote: 1 }), hold(0, 3, 4, 2, { read: 1, wrote: 2 })],
    ],
  ])('%s', (_what, history, permits) => {
    expect(check(history, { end: 100, ...(permits === undefined ? {} : { permits }) })).toEqual([]);
  });
});

describe('a wrong run', () => {
  it.each<[string, Entry[], string, number?]>([
    ['two writers at once', [hold(0, 1, 5, 1), hold(0, 4, 6, 2)], 'together'],
    ['one who had it the whole time of another', [hold(0, 1, 50, 1), hold(2, 3, 4, 2)], 'together'],
    ['a writer beside a reader', [hold(0, 1, 5, 1, read), hold(0, 2, 3, 2)], 'together'],
    ['a reader beside a writer', [hold(0, 1, 5, 1), hold(0, 2, 3, 2, read)], 'together'],
    [
      'a writer beside one of several readers',
      [hold(0, 1, 9, 1, read), hold(0, 2, 3, 2, read), hold(0, 4, 5, 3)],
      'together',
    ],
    ['one more than there are permits', [hold(0, 1, 5, 1), hold(0, 2, 6, 2), hold(0, 3, 7, 3)], 'together', 2],
    [
      'one who had it before the other was told of the loss',
      [hold(0, 1, 9, 1, { lost: 5 }), hold(2, 4, 6, 2)],
      'together',
    ],
    ['one who was never told of a theft', [hold(0, 1, 9, 1), hold(2, 3, 6, 2, { stole: true })], 'together'],
    [
      'a thief who takes a later token for a loss',
      [hold(0, 1, 9, 3, { lost: 8 }), hold(0, 2, 6, 2, { stole: true })],
      'together',
    ],
    ['a token that falls', [hold(0, 1, 2, 7), hold(3, 4, 5, 6)], 'smaller token'],
    ['a token that falls far later', [hold(0, 1, 2, 7), hold(3, 4, 5, 8), hold(6, 7, 8, 3)], 'smaller token'],
    ['one token for two', [hold(0, 1, 2, 1), hold(0, 3, 4, 1)], 'has the token of'],
    ['a token that is none', [hold(0, 1, 2, 1.5)], 'safe integer'],
    [
      'one who was served before its turn',
      [hold(0, 1, 2, 1, { ticket: 2 }), hold(0, 3, 4, 2, { ticket: 1 })],
      'stood in line ahead',
    ],
    ['one who never gave it back', [hold(0, 1, undefined, 1)], 'neither gave it back'],
    ['one who had it before it asked', [hold(5, 1, 6, 1)], 'before it asked'],
    ['one who gave it back before it had it', [hold(0, 3, 2, 1)], 'before it had it'],
    [
      'an update that was lost',
      [hold(0, 1, 2, 1, { read: 0, wrote: 1 }), hold(0, 3, 4, 2, { read: 0, wrote: 1 })],
      'an update was lost',
    ],
  ])('%s', (_what, history, complaint, permits) => {
    const complaints = check(history, { end: 100, ...(permits === undefined ? {} : { permits }) });
    expect(complaints).not.toEqual([]);
    for (const each of complaints) expect(each).toContain(complaint);
  });
});
