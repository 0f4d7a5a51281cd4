// How each function of the addon is called in thread-ends.mjs: well, and where it can throw, in a way that makes it.

import { closeSync } from 'node:fs';

const NO_HANDLE = 1e6;

/** A call of a lock that nobody else uses, one that another thread holds, or none. */
const onLocks = (call) => (loaded) => {
  const handles = [loaded.open('free', false), loaded.open('busy', true), NO_HANDLE];
  loaded.addon.lockOnEvents(() => {});
  return (round) => call(loaded.addon, handles[round % handles.length], round);
};

/** A call of a semaphore, or of none. */
const onSemaphore = (call) => (loaded) => {
  const handles = [loaded.addon.semOpen(loaded.semaphore, 0, 0, 0), NO_HANDLE];
  return (round) => call(loaded.addon, handles[round % handles.length]);
};

/** A call of a semaphore of threads, or of none. */
const onThreads = (call) => (loaded) => {
  const handles = [loaded.addon.threadOpen('thread-ends'), NO_HANDLE];
  return (round) => call(loaded.addon, handles[round % handles.length]);
};

const tryAcquire = (addon, handle) => {
  addon.lockArguments.set([handle, 0]);
  return addon.lockTryAcquire();
};

const release = (addon, handle, entry) => {
  if (entry < 0) return;
  addon.lockArguments.set([handle, entry, addon.lockResult[0]]);
  addon.lockRelease();
};

/** By the name of the function; `load` is the loading itself, and `requests` is what apps do all day. */
export const recipes = {
  requests: async ({ namespace }) => {
    process.env.SEMLOCK_NAMESPACE = namespace;
    const { locks } = await import('../../../dist/index.js');
    const request = async () => {
      for (let number = 0; ; number = (number + 7) % 1000) await locks.request(`name ${number}`, () => {});
    };
    for (let each = 0; each < 20; each++) void request();
    return () => new Promise((resolve) => setTimeout(resolve, 1));
  },

  load:
    ({ path }) =>
    (round) =>
      round < 100 && process.dlopen({ exports: {} }, path),

  semOpen:
    ({ addon, semaphore }) =>
    (round) =>
      addon.semClose(addon.semOpen(round % 2 === 0 ? semaphore : `${semaphore}.none`, 0, 0, 0)),
  semUnlink:
    ({ addon, semaphore }) =>
    () =>
      addon.semUnlink(`${semaphore}.none`),
  semTryWait: onSemaphore((addon, handle) => addon.semTryWait(handle)),
  semPost: onSemaphore((addon, handle) => addon.semTryWait(handle) === 0 && addon.semPost(handle)),
  semValue: onSemaphore((addon, handle) => addon.semValue(handle)),
  semClose:
    ({ addon, semaphore }) =>
    () =>
      addon.semClose(addon.semOpen(semaphore, 0, 0, 0)),

  threadOpen:
    ({ addon }) =>
    (round) =>
      addon.threadClose(addon.threadOpen(`thread-ends-${round % 10}`)),
  threadTryWait: onThreads((addon, handle) => addon.threadTryWait(handle)),
  threadPost: onThreads((addon, handle) => addon.threadTryWait(handle) > 0 && addon.threadPost(handle)),
  threadClose:
    ({ addon }) =>
    () =>
      addon.threadClose(addon.threadOpen('thread-ends')),

  lockOpen:
    ({ addon, open }) =>
    (round) =>
      addon.lockClose(open(`name ${round % 1000}`, false)),
  lockClose:
    ({ addon, open }) =>
    (round) =>
      addon.lockClose(round % 2 === 0 ? open('free', false) : NO_HANDLE),
  lockTryAcquire: onLocks((addon, handle) => release(addon, handle, tryAcquire(addon, handle))),
  lockRelease: onLocks((addon, handle) => release(addon, handle, tryAcquire(addon, handle))),
  lockError: onLocks((addon) => tryAcquire(addon, NO_HANDLE) < -1 && addon.lockError()),
  lockAvailable: onLocks((addon, handle) => addon.lockAvailable(handle)),
  lockProofOfLife: onLocks((addon, handle) => {
    const descriptor = addon.lockProofOfLife(handle);
    if (descriptor >= 0) closeSync(descriptor);
  }),
  lockQuery:
    ({ addon, id }) =>
    (round) =>
      addon.lockQuery(round % 2 === 0 ? id : '/'),
  lockNamespaces:
    ({ addon }) =>
    (round) =>
      addon.lockNamespaces(round % 2, 0),
  lockClear:
    ({ addon, id }) =>
    (round) =>
      addon.lockClear(round % 2 === 0 ? id : '/', false, 0, 0),
  lockClearStrays:
    ({ addon }) =>
    (round) =>
      addon.lockClearStrays(round % 2, 0),
  sha256:
    ({ addon }) =>
    (round) =>
      addon.sha256('text'.repeat(round % 2 === 0 ? 1 : 10_000)),
  ownersId:
    ({ addon }) =>
    (round) =>
      addon.ownersId(round % 3, round % 2 === 0 ? 'root' : 'nobody of that name'),
  ownersNoteChange:
    ({ addon }) =>
    () =>
      addon.ownersNoteChange(),
  lockSteal: (loaded) => {
    const handle = loaded.open('stolen', false);
    return (round) => loaded.addon.lockSteal(round % 2 === 0 ? handle : NO_HANDLE);
  },
  lockAcquireSync: onLocks((addon, handle, round) => {
    release(addon, handle, addon.lockAcquireSync(handle, 0, round % 2 === 0 ? 1 : 10_000));
  }),

  lockOnEvents:
    ({ addon }) =>
    () =>
      addon.lockOnEvents(() => {}),
  lockKeepAlive: onLocks((addon, handle, round) => addon.lockKeepAlive(round % 2 === 0)),
  lockWait: onLocks((addon, handle) => {
    const entry = addon.lockWait(handle, 0, -1);
    if (entry === -3) addon.lockCancel(handle, addon.lockResult[0]);
    else release(addon, handle, entry);
  }),
  lockCancel: onLocks((addon, handle) => {
    addon.lockCancel(handle, addon.lockWait(handle, 0, -1) === -3 ? addon.lockResult[0] : 1);
  }),
  lockDecline: onLocks((addon, handle) => {
    const entry = tryAcquire(addon, handle);
    addon.lockDecline(handle, Math.max(entry, 0), addon.lockResult[0], true);
  }),
  lockWatch: onLocks((addon, handle) => {
    const entry = tryAcquire(addon, handle);
    const id = addon.lockWatch(handle, Math.max(entry, 0), addon.lockResult[0]);
    addon.lockUnwatch(handle, id);
    release(addon, handle, entry);
  }),
  lockUnwatch: onLocks((addon, handle) => addon.lockUnwatch(handle, addon.lockWatch(handle, 0, 1))),

  faultSteps:
    ({ addon }) =>
    () =>
      addon.faultSteps(),
  faultArm:
    ({ addon }) =>
    () =>
      addon.faultArm('no such step', 0, 1),
};
