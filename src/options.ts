// Options are parsed once, where something is created, so that all other code works on complete, checked values. A wrong
// option throws at once, because a lock with a misread option protects nothing.

import { describe, SemlockError } from './errors.js';

/** Reads one option: gives the value to use, or `undefined` when `value` is not acceptable. */
export interface OptionRule<T> {
  /** Completes the sentence "… must be". */
  readonly accepts: string;
  /** Used where the option is absent or `undefined`. */
  readonly fallback: T;
  readonly test: (value: unknown) => boolean;
}

/** One rule for each key of the options, so that the compiler finds a key that has none. */
export type OptionRules<Given extends object> = {
  readonly [K in keyof Given]-?: OptionRule<Given[K] | undefined>;
};

/** Every option with its value or its fallback. */
export type Parsed<Rules> = { readonly [K in keyof Rules]: Rules[K] extends OptionRule<infer T> ? T : never };

/**
 * Makes the parser of the options type `Given`; called twice, because TypeScript infers all type arguments or none.
 * The parser checks what it is given and fills in what is absent; its first argument opens the message, for example
 * `fileLock()`.
 *
 * @throws from the parser: {@link SemlockError} `ERR_SEMLOCK_OPTION` that names the option, what was given and what
 * is accepted.
 */
export function optionParser<Given extends object>() {
  return <Rules extends OptionRules<Given>>(rules: Rules) => {
    const known = Object.keys(rules) as (keyof Rules & string)[];
    const read = (owner: string, given: object): Parsed<Rules> => {
      checkKeys(owner, given, known);
      const parsed: Partial<Record<keyof Rules, unknown>> = {};
      for (const key of known) {
        const rule = rules[key] as OptionRule<unknown>;
        const value = (given as Record<string, unknown>)[key];
        if (value !== undefined && !rule.test(value)) throw optionError(owner, key, value, rule.accepts);
        parsed[key] = value === undefined ? rule.fallback : value;
      }
      return parsed as Parsed<Rules>;
    };
    const fallbacks = Object.freeze(read('', {})); // one for all calls without options, which are most
    return (owner: string, given: unknown): Parsed<Rules> =>
      given === undefined ? fallbacks : read(owner, checkObject(owner, given));
  };
}

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION` unless it is an object. */
export function checkObject(owner: string, given: unknown): object {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given;
  const message = `${owner}: the options must be an object, but ${describe(given)} was given`;
  throw new SemlockError('ERR_SEMLOCK_OPTION', message);
}

function checkKeys(owner: string, given: object, known: readonly string[]): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const message = `${owner}: unknown option ${describe(key)}; accepted are ${known.join(', ')}`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
}

/** The error for an option that has a wrong value; also for pairs of options that contradict each other. */
export function optionError(owner: string, key: string, value: unknown, accepts: string): SemlockError {
  return new SemlockError(
    'ERR_SEMLOCK_OPTION',
    `${owner}: option "${key}" must be ${accepts}, but ${describe(value)} was given`,
  );
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): OptionRule<number | undefined>;
export function integer(min: number, max: number, fallback: number): OptionRule<number>;
export function integer(min: number, max: number, fallback?: number): OptionRule<number | undefined> {
  return {
    accepts: `a whole number from ${min} to ${max}`,
    fallback,
    test: (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

/** A string that is not empty. */
export function text(): OptionRule<string | undefined>;
export function text(fallback: string): OptionRule<string>;
export function text(fallback?: string): OptionRule<string | undefined> {
  return { accepts: 'a non-empty string', fallback, test: (value) => typeof value === 'string' && value !== '' };
}

/** `true` or `false`. Without a fallback, absent is a third case. */
export function flag(): OptionRule<boolean | undefined>;
export function flag(fallback: boolean): OptionRule<boolean>;
export function flag(fallback?: boolean): OptionRule<boolean | undefined> {
  return { accepts: 'true or false', fallback, test: (value) => typeof value === 'boolean' };
}

/** One of a few words. */
export function oneOf<Word extends string>(words: readonly Word[], fallback: Word): OptionRule<Word> {
  return {
    accepts: words.map((word) => `'${word}'`).join(' or '),
    fallback,
    test: (value) => words.includes(value as Word),
  };
}

/** An AbortSignal of this realm or another, known by what it can do. */
export function abortSignal(): OptionRule<AbortSignal | undefined> {
  return {
    accepts: 'an AbortSignal',
    fallback: undefined,
    test: (value) => {
      const signal = value as Partial<AbortSignal> | null;
      return typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function';
    },
  };
}

/** A function; its parameters and result are the caller's contract. */
export function callback<T>(accepts: string, fallback: T): OptionRule<T> {
  return { accepts, fallback, test: (value) => typeof value === 'function' };
}
