export { FileLocked } from './decorators/file-locked.js';
export { Locked, type LockedOptions } from './decorators/locked.js';
export { type DualMethodDecorator } from './decorators/method-decorator.js';
export { type LockMessage } from './diagnostics.js';
export { SemlockError, type SemlockErrorCode, type SystemError } from './errors.js';
export { type OrphanedMessage } from './http/node/exchange.js';
export { fileLock } from './http/node/file-lock.js';
export {
  type BusyInfo,
  type FileLockOptions,
  type HttpLockOptions,
  type LockModeOption,
  type LockName,
} from './http/node/options.js';
export { type LockedRequest, type Middleware, type Next } from './http/node/types.js';
export { locked, type LockedHandler } from './http/node/locked.js';
export { type Held, type LockMode } from './lock/held.js';
export { Lock, type LockOptions } from './lock/lock.js';
export { type GrantedLock } from './lock/granted-lock.js';
export { createLocks, LockManager, locks, type LocksOptions, type QueryOptions } from './lock/lock-manager.js';
export { type LockRequestOptions } from './lock/lock-request.js';
export { type HeldLockInfo, type LockGap, type LockInfo, type LockManagerSnapshot } from './lock/lock-snapshot.js';
export { type AcquireOptions, type AcquireSyncOptions, type TryOptions } from './lock/named-lock.js';
export { NamedSemaphore, type NamedSemaphoreOptions } from './lock/named-semaphore.js';
export { RLock, type RLockOptions, type RLockSyncOptions } from './lock/rlock.js';
export { Semaphore, type SemaphoreOptions } from './lock/semaphore.js';
export {
  processStore,
  threadStore,
  type LockStore,
  type StoreLock,
  type StoreRequest,
  type StoreTry,
  type StoreWait,
} from './lock/store.js';
export { ThreadLock } from './lock/thread-lock.js';
