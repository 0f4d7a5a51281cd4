// @Locked() for providers of NestJS: the lock is one of the app's module, and the end of the app waits for the method.

import {
  callLocker,
  lockedMethod,
  type CallUnderLock,
  type LockedOptions,
  type LockedTarget,
} from '../decorators/locked.js';
import { methodDecorator } from '../decorators/method-decorator.js';
import { LockService } from './lock-service.js';
import { injectProperty } from './metadata.js';

const OWNER = '@Locked()';

/** Where NestJS puts the service into a provider. */
const SERVICE = Symbol('semlock.LockService');

type LegacyMethodDecorator<Result> = <Args extends never[], Given extends Result>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<(...args: Args) => Given>,
) => void;

/**
 * Holds a lock during each call of a provider's method, from before it starts until its promise has settled: `@Locked()` of
 * semlock, in the namespace and the store of `LockModule`. It needs no request, so it is for jobs and queues too.
 *
 * @throws `SemlockError` `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION` at definition or, where the module's store cannot do it, at
 * the first call; `TypeError` on anything but a method of objects.
 *
 * @example
 * ```ts
 * import { Injectable } from '@nestjs/common';
 * import { Cron } from '@nestjs/schedule';
 * import { Locked } from 'semlock/nest';
 *
 * @Injectable()
 * class Jobs {
 *   @Cron('0 3 * * *')
 *   @Locked('nightly', { onBusy: 'skip', atLeastMs: 60_000 })
 *   async nightly(): Promise<void> { … }
 * }
 * ```
 */
export function Locked<Owner, Leading extends unknown[]>(
  target: LockedTarget<Owner, Leading>,
  options: LockedOptions & { onBusy: 'skip' },
): LegacyMethodDecorator<Promise<void>>;
export function Locked<Owner, Leading extends unknown[]>(
  target: LockedTarget<Owner, Leading>,
  options?: LockedOptions & { onBusy?: 'throw' },
): LegacyMethodDecorator<Promise<unknown>>;
export function Locked(target: LockedTarget, options?: LockedOptions) {
  callLocker(OWNER, target, options); // so that what is wrong is refused here
  const lockers = new WeakMap<LockService, CallUnderLock>();
  const lockerOf = (service: LockService): CallUnderLock => {
    let locker = lockers.get(service);
    if (locker === undefined)
      lockers.set(service, (locker = callLocker(OWNER, target, { ...service.defaultsFor(target), ...options })));
    return locker;
  };
  const decorate = methodDecorator(OWNER, (method) =>
    lockedMethod(method, (owner, args, work) => {
      const service = (owner as { [SERVICE]?: LockService } | undefined)?.[SERVICE];
      if (service === undefined) return Promise.reject(notInjected());
      return service.watch(lockerOf(service)(owner, args, work));
    }),
  );

  return (prototype: object, key: string | symbol, descriptor: PropertyDescriptor): void => {
    if (typeof prototype === 'function') throw new TypeError(`${OWNER} of semlock/nest belongs on a method of objects`);
    injectProperty(SERVICE, LockService, prototype.constructor as new () => object);
    decorate(prototype, key, descriptor);
  };
}

function notInjected(): TypeError {
  return new TypeError(`${OWNER} of semlock/nest needs an object that NestJS has made: list its class as a provider`);
}
