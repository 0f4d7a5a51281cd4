// The options of fileLock(), locked() and @FileLocked(): those of all frameworks, and an answer by (req, res, next).

import type { IncomingMessage, ServerResponse } from 'node:http';

import { FILE_NAMESPACE, fileLockName } from '../../file-name.js';
import { callback, optionError, optionParser, type OptionRule, type Parsed } from '../../options.js';
import type { NameOption } from '../core/guard.js';
import { checkAbilities, checkOneAnswer, guardRules, type GuardOptions, type ModeOption } from '../core/options.js';
import type { DefaultRequest, DefaultResponse, Next } from './types.js';

/**
 * The name of a lock: one for all requests, or a function that makes it from the request. What a wildcard of Express 5
 * matched, as in `/*path`, is an array there, and no name: join it.
 */
export type LockName<Req extends IncomingMessage = DefaultRequest> = NameOption<Req>;

/** How a lock is taken: alike for all requests, or as a function says of each. */
export type LockModeOption<Req extends IncomingMessage = DefaultRequest> = ModeOption<Req>;

/** What {@link HttpLockOptions.onBusy} is told. */
export interface BusyInfo {
  /** The name of the lock that is held elsewhere. */
  readonly name: string;
}

/** Options of `locked()`, and with a `name` of `fileLock()`. */
export interface HttpLockOptions<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
> extends GuardOptions<Req> {
  /** Answers instead, when the lock is held elsewhere; what it throws or rejects with goes to `next`. */
  onBusy?: (req: Req, res: Res, next: Next, info: BusyInfo) => unknown;
}

/** Options of `fileLock()`. */
export interface FileLockOptions<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
> extends HttpLockOptions<Req, Res> {
  /** The lock's name, or a function that makes it from the request. Default `default`. */
  name?: LockName<Req>;
  /**
   * A file in place of a name, or a function that gives its path for a request: the lock of that file, the same in all apps
   * of this user. The file need not exist, but its folder must.
   */
  file?: LockName<Req>;
}

/** What the code works on: of the requests of all frameworks it knows what node:http gives them. */
export type AnyLockName = LockName<IncomingMessage>;
export type AnyHttpLockOptions = HttpLockOptions<IncomingMessage, ServerResponse>;
export type AnyFileLockOptions = FileLockOptions<IncomingMessage, ServerResponse>;

const lockName: OptionRule<AnyLockName> = {
  accepts: 'a non-empty string, or a function that makes one from the request',
  fallback: 'default',
  test: (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
};

const httpLockRules = {
  ...guardRules<IncomingMessage>(),
  onBusy: callback<AnyHttpLockOptions['onBusy']>('a function', undefined),
};
const filePath: OptionRule<AnyLockName | undefined> = {
  accepts: 'a path, or a function that gives one for a request',
  fallback: undefined,
  test: lockName.test,
};
const fileLockRules = { name: lockName, file: filePath, ...httpLockRules };

/** The options of `locked()`, complete. */
export type HttpLockConfig = Parsed<typeof httpLockRules>;
/** The options of `fileLock()`, complete. */
export type FileLockConfig = Parsed<typeof fileLockRules>;

const readHttpLockOptions = optionParser<AnyHttpLockOptions>()(httpLockRules);
const readFileLockOptions = optionParser<AnyFileLockOptions>()(fileLockRules);

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`. */
export function parseHttpLockOptions(owner: string, options: AnyHttpLockOptions | undefined): HttpLockConfig {
  return checked(owner, options, readHttpLockOptions(owner, options));
}

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`. */
export function parseFileLockOptions(owner: string, options: AnyFileLockOptions | undefined): FileLockConfig {
  const config = checked(owner, options, readFileLockOptions(owner, options));
  return config.file === undefined ? config : { ...config, ...ofFile(owner, config.file, options ?? {}) };
}

/** The name and the namespace of the lock of a file. */
function ofFile(owner: string, file: AnyLockName, given: AnyFileLockOptions) {
  for (const key of ['name', 'namespace'] as const) {
    if (given[key] !== undefined)
      throw optionError(owner, key, given[key], 'absent beside "file", which stands for it');
  }
  if (typeof file !== 'function') return { name: fileLockName(owner, file), namespace: FILE_NAMESPACE };
  const name = (req: IncomingMessage): string | Promise<string> => {
    const path = file(req);
    return typeof path === 'string' ? fileLockName(owner, path) : path.then((later) => fileLockName(owner, later));
  };
  return { name, namespace: FILE_NAMESPACE };
}

function checked<Config extends HttpLockConfig>(
  owner: string,
  options: AnyHttpLockOptions | undefined,
  config: Config,
): Config {
  checkOneAnswer(owner, options);
  checkAbilities(owner, config);
  return config;
}
