/**
 * Locks for NestJS, on controllers and on any provider.
 *
 * @module semlock/nest
 */

export { type BusyInfo } from '../http/core/options.js';
export { type LockedOptions, type LockedTarget } from '../decorators/locked.js';
export { FileLocked, type NestLockOptions } from './file-locked.js';
export { LockModule, type LockModuleAsyncOptions } from './lock-module.js';
export { LockService, type LockModuleOptions } from './lock-service.js';
export { Locked } from './locked.js';
