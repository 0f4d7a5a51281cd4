export { Locked, type LockedOptions } from './decorators/locked.js';
export { type DualMethodDecorator } from './decorators/method-decorator.js';
export { SemlockError, type SemlockErrorCode, type SystemError } from './errors.js';
export { type Held } from './lock/held.js';
export { Lock, type LockOptions } from './lock/lock.js';
export { NamedSemaphore, type NamedSemaphoreOptions } from './lock/named-semaphore.js';
export { Semaphore, type SemaphoreOptions } from './lock/semaphore.js';
export { processStore, threadStore, type LockStore, type StoreLock, type StoreRequest } from './lock/store.js';
export { ThreadLock } from './lock/thread-lock.js';
