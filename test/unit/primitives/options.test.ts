// Options are checked where something is made: a wrong one throws there, names itself, and says what would be right.

import { describe, expect, it } from 'vitest';

import { SemlockError } from '../../../src/errors.js';
import { callback, flag, integer, optionError, optionParser, text } from '../../../src/options.js';
import { failure } from '../../support/failure.js';

interface Options {
  permits?: number;
  retries?: number;
  title?: string;
  body?: string;
  foreign?: boolean;
  onBusy?: () => void;
}

const ADDRESS = '; see https://github.com/semlock/semlock/blob/main/docs/errors.md#err_semlock_option';

const onBusy = (): void => undefined;
const parse = optionParser<Options>()({
  permits: integer(1, 10),
  retries: integer(0, 3, 2),
  title: text(),
  body: text('busy'),
  foreign: flag(),
  onBusy: callback('a function', onBusy),
});
const defaults = { permits: undefined, retries: 2, title: undefined, body: 'busy', foreign: undefined, onBusy };

describe('what is accepted', () => {
  const other = (): void => undefined;

  it.each<[unknown, object]>([
    [undefined, {}],
    [{}, {}],
    [{ permits: undefined, retries: undefined, title: undefined, body: undefined, onBusy: undefined }, {}],
    [{ permits: 1 }, { permits: 1 }],
    [{ permits: 10 }, { permits: 10 }],
    [{ retries: 0 }, { retries: 0 }],
    [
      { title: ' ', body: 'x' },
      { title: ' ', body: 'x' },
    ],
    [{ foreign: true }, { foreign: true }],
    [{ foreign: false }, { foreign: false }],
    [{ onBusy: other }, { onBusy: other }],
    [Object.assign(Object.create(null), { permits: 3 }), { permits: 3 }],
  ])('%o, completed with the defaults', (given, changed) => {
    expect(parse('test()', given)).toEqual({ ...defaults, ...changed });
  });

  it('is a copy: what is given may change afterwards', () => {
    const given = { permits: 3 };
    const parsed = parse('test()', given);
    given.permits = 4;
    expect(parsed.permits).toBe(3);
  });
});

describe('what is refused', () => {
  const whole = 'a whole number from 1 to 10';

  it.each<[unknown, string]>([
    [null, 'test(): the options must be an object, but null was given'],
    [[], 'test(): the options must be an object, but an array was given'],
    ['name', 'test(): the options must be an object, but "name" was given'],
    [4, 'test(): the options must be an object, but 4 was given'],
    [onBusy, 'test(): the options must be an object, but function onBusy was given'],
    [{ permit: 4 }, 'test(): unknown option "permit"; accepted are permits, retries, title, body, foreign, onBusy'],
    [{ toString: 4 }, 'test(): unknown option "toString"; accepted are permits, retries, title, body, foreign, onBusy'],
    [
      { unknown: undefined },
      'test(): unknown option "unknown"; accepted are permits, retries, title, body, foreign, onBusy',
    ],
    [{ permits: 0 }, `test(): option "permits" must be ${whole}, but 0 was given`],
    [{ permits: 11 }, `test(): option "permits" must be ${whole}, but 11 was given`],
    [{ permits: 1.5 }, `test(): option "permits" must be ${whole}, but 1.5 was given`],
    [{ permits: NaN }, `test(): option "permits" must be ${whole}, but NaN was given`],
    [{ permits: '4' }, `test(): option "permits" must be ${whole}, but "4" was given`],
    [{ permits: 4n }, `test(): option "permits" must be ${whole}, but 4n was given`],
    [{ permits: null }, `test(): option "permits" must be ${whole}, but null was given`],
    [{ title: '' }, 'test(): option "title" must be a non-empty string, but "" was given'],
    [{ title: 4 }, 'test(): option "title" must be a non-empty string, but 4 was given'],
    [
      { title: new String('x') },
      'test(): option "title" must be a non-empty string, but an instance of String was given',
    ],
    [{ foreign: 1 }, 'test(): option "foreign" must be true or false, but 1 was given'],
    [{ foreign: null }, 'test(): option "foreign" must be true or false, but null was given'],
    [{ onBusy: 'next' }, 'test(): option "onBusy" must be a function, but "next" was given'],
  ])('%o', (given, message) => {
    const error = failure(() => parse('test()', given));
    expect(error).toBeInstanceOf(SemlockError);
    expect(error).toMatchObject({ code: 'ERR_SEMLOCK_OPTION', message: `${message}${ADDRESS}` });
  });

  it('can be a pair of options that contradict each other', () => {
    expect(optionError('test()', 'permits', 4, '1 where shared')).toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
      message: `test(): option "permits" must be 1 where shared, but 4 was given${ADDRESS}`,
    });
  });
});
