// The two ways in which the forms are called, `(name, options)` and `(options)`, alike in all frameworks.

import { SemlockError } from '../../errors.js';
import { checkLockName } from '../../names.js';
import type { OptionRule } from '../../options.js';
import type { NameOption } from './guard.js';

/** The option `name`. */
export function nameRule<Request>(): OptionRule<NameOption<Request>> {
  return {
    accepts: 'a non-empty string, or a function that makes one from the request',
    fallback: 'default',
    test: (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
  };
}

/** Reads the arguments by `parse`, whichever way they were given. */
export function readArguments<Request, Options extends { name?: NameOption<Request> }, Config extends object>(
  owner: string,
  parse: (owner: string, options: Options | undefined) => Config,
  nameOrOptions: NameOption<Request> | Options | undefined,
  options: Options | undefined,
): Config {
  if (typeof nameOrOptions !== 'string' && typeof nameOrOptions !== 'function') {
    return parse(owner, onlyOne(owner, nameOrOptions, options));
  }
  if (typeof nameOrOptions === 'string') checkLockName(owner, nameOrOptions);
  const config = parse(owner, options);
  if (options?.name !== undefined) {
    throw new SemlockError('ERR_SEMLOCK_OPTION', `${owner}: the name was given twice, also as the option "name"`);
  }
  return { ...config, name: nameOrOptions };
}

function onlyOne<T>(owner: string, first: T | undefined, second: T | undefined): T | undefined {
  if (first === undefined || second === undefined) return first === undefined ? second : first;
  throw new SemlockError('ERR_SEMLOCK_OPTION', `${owner}: the options were given twice`);
}
