/**
 * Locks between processes: `Lock`, `Semaphore`, `RLock`, the Web Locks API, and the forms for Express, Connect and `node:http`.
 *
 * @module semlock
 */

export { FileLocked } from './decorators/file-locked.js';
export { Locked, type LockedOptions, type LockedTarget } from './decorators/locked.js';
export { type DualMethodDecorator } from './decorators/method-decorator.js';
export { type LockMessage, type LostMessage, type RequestMessage } from './observe/channels.js';
export { SemlockError, type SemlockErrorCode, type SystemError } from './errors.js';
export {
  type BusyInfo,
  type FileOption,
  type FilesOption,
  type ModeOption,
  type NameOption,
} from './http/core/options.js';
export { type OrphanedMessage } from './http/node/exchange.js';
export { fileLock } from './http/node/file-lock.js';
export {
  type FileLockOptions,
  type HttpLockOptions,
  type LockedRequest,
  type LockModeOption,
  type LockName,
  type Middleware,
  type Next,
  type OnBusy,
} from './http/node/types.js';
export { locked, type LockedHandler } from './http/node/locked.js';
export { acquireAll, type LockOrMode } from './acquire-all.js';
export { setDefaultStore } from './default-store.js';
export type { Account, LockOwners, OwnersOptions } from './owners.js';
export { type FilePath, type FileTarget } from './file-name.js';
export { type Held, type Hold } from './hold.js';
export { type Holds } from './holds.js';
export { Lock, type LockOptions } from './lock.js';
export { NamedSemaphore, type NamedSemaphoreOptions } from './primitives/named-semaphore.js';
export { ThreadLock } from './primitives/thread-lock.js';
export { RLock, type RLockOptions, type RLockSyncOptions } from './reentrant-lock.js';
export { Semaphore, type SemaphoreOptions } from './semaphore.js';
export {
  type Grant,
  type HeldLockInfo,
  type LockGap,
  type LockId,
  type LockInfo,
  type LockManagerSnapshot,
  type LockMode,
  type ClosableStore,
  type LockStore,
  type QueryTarget,
  type StoreAbilities,
  type StoreLock,
  type Want,
} from './store.js';
export {
  type AcquireOptions,
  type AcquireSyncOptions,
  type RunOptions,
  type StoredLock,
  type TryOptions,
} from './stored-lock.js';
export { memoryStore } from './stores/memory/memory-store.js';
export { processStore } from './stores/process/process-store.js';
export { createLocks, LockManager, locks, type LocksOptions, type QueryOptions } from './web-locks/lock-manager.js';
export { type LockRequestOptions } from './web-locks/lock-request.js';
