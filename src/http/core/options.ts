// The options of the forms in all frameworks, read and checked once, when a form is made.

import { storeOption } from '../../default-store.js';
import { SemlockError } from '../../errors.js';
import { FILE_NAMESPACE, fileLockName, type FilePath } from '../../file-name.js';
import { checkLockName } from '../../names.js';
import {
  callback,
  checkObject,
  flag,
  integer,
  optionError,
  optionParser,
  text,
  type OptionRule,
  type Parsed,
} from '../../options.js';
import { checkOwners, ownersRules, type OwnersOptions } from '../../owners.js';
import { MAX_PERMITS } from '../../semaphore.js';
import type { LockMode, LockStore } from '../../store.js';
import { MAX_TIMER_MS } from '../../stored-lock.js';

/** How a lock is taken: alike for all requests, or as a function says of each. */
export type ModeOption<Request> = LockMode | ((req: Request) => LockMode);

/** A lock's name, or a function that makes it from the request. */
export type NameOption<Request> = string | ((req: Request) => string | Promise<string>);

/** Where a file is, or a function that says so for a request. */
export type FileOption<Request> = FilePath | ((req: Request) => FilePath | Promise<FilePath>);

/** Where files are, or a function that says so for a request. */
export type FilesOption<Request> =
  readonly FilePath[] | ((req: Request) => readonly FilePath[] | Promise<readonly FilePath[]>);

/** The options of all forms but for what is locked; `Request` is what a framework gives to callbacks. */
export interface GuardOptions<Request> extends OwnersOptions {
  /** Keeps the locks of one app apart from those of others. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
  /** How many requests can hold the lock at once, in all processes together, 1 to 1024. Default 1. */
  permits?: number;
  /**
   * `'shared'` for requests that only read: they pass together, but not beside one that takes the lock exclusively,
   * nor ahead of one that waits for that. Needs one permit. Default `'exclusive'`.
   */
  mode?: ModeOption<Request>;
  /** How long to wait in turn for a lock that is held elsewhere, in milliseconds. Default 0: busy at once. */
  waitMs?: number;
  /** The status of the answer when the lock is held elsewhere, 400 to 599. Default 503. */
  status?: number;
  /** The `Retry-After` of that answer, in whole seconds. Default 1. */
  retryAfterS?: number;
  /** The body of that answer. Default `busy`. */
  message?: string;
  /** Lets a request pass without the lock when it gives `true`. */
  skip?: (req: Request) => boolean | Promise<boolean>;
  /**
   * How long the lock is still kept for a handler whose client has disconnected, in milliseconds from then on. It is
   * released earlier when the handler is done. Default 30 000; no limit for a handler of which a promise tells when
   * it is done.
   */
  orphanAfterMs?: number;
  /**
   * `true` for handlers that work for their client alone, such as a stream of events: the lock is released as soon as the
   * client leaves. Default `false`.
   */
  endsWithClient?: boolean;
  /**
   * How long a client whose request holds the lock may read nothing of an answer that is ready, or send nothing of a body
   * that the handler waits for, in milliseconds. Then it is disconnected. 0: forever. Default 30 000.
   */
  stallMs?: number;
  /** How long a request may hold the lock before its client is disconnected, with a warning. Default: forever. */
  maxHoldMs?: number;
  /** Where the locks live. Default: between all processes of this machine, or what `setDefaultStore()` says. */
  store?: LockStore;
}

/** What is locked: one of the three. */
export interface TargetOptions<Request> {
  /** The lock's name, or a function that makes it from the request. Default `default`. */
  name?: NameOption<Request>;
  /**
   * A file in place of a name, or a function that gives its path for a request: the lock of that file, the same in all apps
   * of this user. The file need not exist, but its folder must.
   */
  file?: FileOption<Request>;
  /**
   * Several files, as for a copy or a rename: the request has the locks of all of them or none, within one `waitMs`. All
   * take them in one order, so that no two requests wait for each other.
   */
  files?: FilesOption<Request>;
}

/** What `onBusy` is told. */
export interface BusyInfo {
  /** The name of the lock that is held elsewhere; of a file, its real path. */
  readonly name: string;
}

/** The options of a form whose `onBusy` is an `OnBusy`. */
export interface FormOptions<Request, OnBusy = (context: Request, info: BusyInfo) => unknown>
  extends GuardOptions<Request>, TargetOptions<Request> {
  /** Answers instead, when the lock is held elsewhere. */
  onBusy?: OnBusy;
}

const MODES: readonly unknown[] = ['exclusive', 'shared'] satisfies LockMode[];

/** Whether a function for the option `mode` gave a mode. */
export function isMode(value: unknown): value is LockMode {
  return MODES.includes(value);
}

const modeRule: OptionRule<ModeOption<never>> = {
  accepts: `'exclusive' or 'shared', or a function that gives one of them for a request`,
  fallback: 'exclusive',
  test: (value) => typeof value === 'function' || isMode(value),
};
const nameRule: OptionRule<NameOption<never> | undefined> = {
  accepts: 'a non-empty string, or a function that makes one from the request',
  fallback: undefined,
  test: (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
};
const fileRule: OptionRule<FileOption<never> | undefined> = {
  accepts: 'a path or a file: URL, or a function that gives one for a request',
  fallback: undefined,
  test: (value) => value instanceof URL || nameRule.test(value),
};
const filesRule: OptionRule<FilesOption<never> | undefined> = {
  accepts: 'a list of paths, or a function that gives one for a request',
  fallback: undefined,
  test: (value) => typeof value === 'function' || (Array.isArray(value) && value.length > 0),
};

const rules = {
  name: nameRule,
  file: fileRule,
  files: filesRule,
  namespace: text(),
  ...ownersRules,
  permits: integer(1, MAX_PERMITS, 1),
  mode: modeRule,
  waitMs: integer(0, MAX_TIMER_MS, 0),
  status: integer(400, 599, 503),
  retryAfterS: integer(0, MAX_TIMER_MS, 1),
  message: text('busy'),
  skip: callback<GuardOptions<never>['skip']>('a function', undefined),
  onBusy: callback<unknown>('a function', undefined),
  orphanAfterMs: integer(0, MAX_TIMER_MS),
  endsWithClient: flag(false),
  stallMs: integer(0, MAX_TIMER_MS, 30_000),
  maxHoldMs: integer(1, MAX_TIMER_MS),
  store: storeOption,
};
const readOptions = optionParser<FormOptions<never, unknown>>()(rules);

/** The names of what a request locks, or what makes them from it. */
export type Target<Request> =
  | { readonly several: false; readonly name: NameOption<Request> }
  | { readonly several: true; readonly names: Names | ((req: Request) => Names | Promise<Names>) };

type Names = readonly string[];

/** Options that are read, complete. */
export interface FormConfig<Request, OnBusy = FormOptions<Request>['onBusy']> extends Omit<
  Parsed<typeof rules>,
  'name' | 'file' | 'files' | 'mode' | 'skip' | 'onBusy'
> {
  readonly target: Target<Request>;
  readonly mode: ModeOption<Request>;
  readonly skip: GuardOptions<Request>['skip'];
  readonly onBusy: OnBusy | undefined;
}

/**
 * Reads the arguments of a form, `(name, options)` or `(options)`.
 *
 * @param defaults - stand for options that are not given.
 * @throws `SemlockError` `ERR_SEMLOCK_OPTION` or `ERR_SEMLOCK_NAME`.
 */
export function readForm<Request, OnBusy = FormOptions<Request>['onBusy']>(
  owner: string,
  nameOrOptions: unknown,
  options: unknown,
  defaults: object = {},
): FormConfig<Request, OnBusy> {
  const given = withDefaults(asOptions(owner, nameOrOptions, options), defaults);
  const { name, file, files, ...config } = readOptions(owner, given);
  checkOneAnswer(owner, given);
  checkAbilities(owner, config);
  const target = targetOf(owner, { name, file, files }, config.namespace);
  const namespace = name === undefined && (file ?? files) !== undefined ? FILE_NAMESPACE : config.namespace;
  return { ...config, namespace, target } as unknown as FormConfig<Request, OnBusy>;
}

/** Of forms that have no default: a name, or options that say what is locked, have to be given. */
export function checkNamed(owner: string, nameOrOptions: unknown): void {
  if (typeof nameOrOptions === 'function') return;
  const options = nameOrOptions as TargetOptions<never> | null;
  if (typeof options !== 'object' || options === null) {
    checkLockName(owner, nameOrOptions);
    return;
  }
  if (TARGETS.some((key) => options[key] !== undefined)) return;
  throw new SemlockError('ERR_SEMLOCK_OPTION', `${owner}: one of the options ${TARGETS.join(', ')} is needed`);
}

type Given = FormOptions<never, unknown> | undefined;

function asOptions(owner: string, first: unknown, second: unknown): Given {
  if (typeof first !== 'string' && typeof first !== 'function') {
    if (first === undefined || second === undefined) return (first === undefined ? second : first) as Given;
    const message = `${owner}: the options were given twice; where it was handed to a framework, write ${owner}, with its parentheses`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
  if (typeof first === 'string') checkLockName(owner, first);
  const others: Given = second === undefined ? {} : checkObject(owner, second);
  if (others.name !== undefined) {
    throw new SemlockError('ERR_SEMLOCK_OPTION', `${owner}: the name was given twice, also as the option "name"`);
  }
  return { ...others, name: first as NameOption<never> };
}

const TARGETS = ['name', 'file', 'files'] as const;

function withDefaults(given: Given | null, defaults: object): Given {
  if (Object.keys(defaults).length === 0 || typeof given !== 'object' || given === null)
    return given === undefined ? defaults : (given as Given);
  const own = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const others = { ...defaults };
  if (TARGETS.some((key) => key in own)) for (const key of TARGETS) delete (others as Given)?.[key];
  return { ...others, ...own };
}

function targetOf(
  owner: string,
  { name, file, files }: TargetOptions<never>,
  namespace: string | undefined,
): Target<never> {
  if ((file ?? files) === undefined) return { several: false, name: name ?? 'default' };
  const key = file === undefined ? 'files' : 'file';
  const others = { name, namespace, ...(file !== undefined && { files }) };
  for (const [other, value] of Object.entries(others)) {
    if (value !== undefined) throw optionError(owner, other, value, `absent beside "${key}", which stands for it`);
  }
  const nameOf = (path: FilePath) => fileLockName(owner, path);
  const namesOf = (paths: readonly FilePath[]) => paths.map(nameOf);
  if (file !== undefined)
    return { several: false, name: typeof file === 'function' ? after(file, nameOf) : nameOf(file) };
  return { several: true, names: typeof files === 'function' ? after(files, namesOf) : namesOf(files!) };
}

/** `first`, and then `second` with what that gave, which may be a promise. */
function after<Request, A, B>(first: (req: Request) => A | Promise<A>, second: (value: A) => B) {
  return (req: Request): B | Promise<B> => {
    const value = first(req);
    return isThenable(value) ? value.then(second) : second(value);
  };
}

/** Whether what a callback gave is a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

type Abilities = Pick<Parsed<typeof rules>, 'store' | 'user' | 'group' | 'permits' | 'mode' | 'waitMs'>;

/** What the store cannot do, or several permits contradict, is said now and not to the first client. */
function checkAbilities(owner: string, config: Abilities): void {
  const { store, permits, mode, waitMs } = config;
  checkOwners(owner, config);
  for (const key of ['user', 'group'] as const) {
    if (config[key] !== undefined && store !== undefined && store.can.owners !== true) {
      throw optionError(owner, key, config[key], `absent in the store "${store.name}"`);
    }
  }
  if (waitMs > 0 && store?.can.wait === false) {
    throw optionError(owner, 'waitMs', waitMs, '0 or absent with a store that cannot wait');
  }
  if (mode !== 'exclusive' && store?.can.share === false) {
    throw optionError(owner, 'mode', mode, `'exclusive' or absent with a store that cannot share`);
  }
  if (mode !== 'exclusive' && permits > 1) {
    throw optionError(owner, 'mode', mode, `'exclusive' or absent with ${permits} permits`);
  }
}

/** An `onBusy` answers alone: nothing would come of the options of the built-in answer beside it. */
function checkOneAnswer(owner: string, options: Given): void {
  if (options?.onBusy === undefined) return;
  for (const key of ['status', 'retryAfterS', 'message'] as const) {
    if (options[key] === undefined) continue;
    const message = `${owner}: option "${key}" has no effect beside "onBusy", which gives the whole answer: leave one out`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
}
