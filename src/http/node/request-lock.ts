// `req.lock`: what a request holds, for its handler and for the next lock that it meets.
//
// On a request of Express it is no property of the request's own. Express changes the prototype of each request, and
// from then on V8 copies the request's hidden class with every property that is added, which takes longer than all else
// that a lock does for a request (Node.js 20). There it is an accessor of `express.request`, the object that Express has
// for what all requests are to have in addition.

import type { IncomingMessage } from 'node:http';

import type { LockableRequest } from './types.js';

/** Behind the accessor. */
const locks = new WeakMap<object, unknown>();

const accessor = {
  get(this: object) {
    return locks.get(this);
  },
  /** An app that assigns gets a property, as it would without the accessor. */
  set(this: object, value: unknown) {
    Object.defineProperty(this, 'lock', { value, configurable: true, enumerable: true, writable: true });
  },
  configurable: true,
};

/** Reads `req.lock`; by the shortest way, as it is read for each request. */
export function lockOf(req: IncomingMessage): unknown {
  return hasAccessor(prototypeOf(req)) ? locks.get(req) : (req as LockableRequest).lock;
}

/** Writes `req.lock`. */
export function setLockOf(req: IncomingMessage, lock: LockableRequest['lock']): void {
  const behindAccessor = hasAccessor(prototypeOf(req));
  if (behindAccessor) locks.set(req, lock);
  // Its own where there is no accessor, or where the app has assigned one before.
  if (!behindAccessor || Object.hasOwn(req, 'lock')) (req as LockableRequest).lock = lock;
}

/** Whether objects of a prototype have the accessor: what was found, or added, when one was first met. */
const known = new WeakMap<object, boolean>();

function hasAccessor(prototype: object): boolean {
  const found = known.get(prototype);
  if (found !== undefined) return found;
  const has = inheritsAccessor(prototype);
  known.set(prototype, has);
  return has;
}

/**
 * Of an app's own `app.request`, of that of an app which it is mounted in, and at last of `express.request`, which gets
 * the accessor here. Not of a class, such as those of Node.js, nor where something else is called `lock` already.
 */
function inheritsAccessor(prototype: object): boolean {
  if (Object.hasOwn(prototype, 'constructor') || Object.hasOwn(prototype, 'lock')) return false;
  const parent = prototypeOf(prototype);
  if (!Object.hasOwn(parent, 'constructor')) return hasAccessor(parent);
  return !('lock' in parent) && Reflect.defineProperty(prototype, 'lock', accessor);
}

function prototypeOf(value: object): object {
  return (Object.getPrototypeOf(value) ?? Object.prototype) as object;
}
