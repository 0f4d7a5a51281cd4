// The options of the forms in frameworks that have one object for request and response: those of all, a name, and an
// answer of one's own.

import { callback, optionParser, type Parsed } from '../../options.js';
import { nameRule } from './arguments.js';
import type { NameOption } from './guard.js';
import { checkAbilities, checkOneAnswer, guardRules, type GuardOptions } from './options.js';

/** What {@link FormOptions.onBusy} is told. */
export interface BusyInfo {
  /** The name of the lock that is held elsewhere. */
  readonly name: string;
}

/** Options of a form whose callbacks are given a `Context`. */
export interface FormOptions<Context, Answer = unknown> extends GuardOptions<Context> {
  /** The lock's name, or a function that makes it from the request. Default `default`. */
  name?: NameOption<Context>;
  /** Answers instead, when the lock is held elsewhere. */
  onBusy?: (context: Context, info: BusyInfo) => Answer;
}

function formRules<Context, Answer>() {
  return {
    name: nameRule<Context>(),
    ...guardRules<Context>(),
    onBusy: callback<FormOptions<Context, Answer>['onBusy']>('a function', undefined),
  };
}

/** Those options, complete. */
export type FormConfig<Context, Answer> = Parsed<ReturnType<typeof formRules<Context, Answer>>>;

/** Makes what reads them; it throws `SemlockError` `ERR_SEMLOCK_OPTION`. */
export function formParser<Context, Answer>() {
  const read = optionParser<FormOptions<Context, Answer>>()(formRules<Context, Answer>());
  return (owner: string, options: FormOptions<Context, Answer> | undefined): FormConfig<Context, Answer> => {
    const config = read(owner, options);
    checkOneAnswer(owner, options);
    checkAbilities(owner, config);
    return config;
  };
}
