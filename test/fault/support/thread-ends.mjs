// Ends threads while they are inside a function of the addon: `terminate` ends as many as are asked for, one after the
// other, `exit` the whole process. Says nothing when all is well; the signal of an abort says the rest.
// Usage: fork it with the addon's path, terminate or exit, the function, and how many threads.

import { createRequire } from 'node:module';
import { isMainThread, Worker, workerData } from 'node:worker_threads';

import { digest, namespaceId } from '../../../dist/names.js';
import { recipes } from './thread-ends-recipes.mjs';

const room = { namespace: `thread-ends-${process.pid}`, semaphore: `/semlock-thread-ends.${process.pid}` };

/** Its exports, and what the recipes need: locks of this thread, `free` and one that the main thread holds. */
function load(path) {
  const addon = createRequire(import.meta.url)(path);
  const id = namespaceId(room.namespace);
  const open = (name, named) => addon.lockOpen(id, digest(name), name, 1, named, false, '');
  return { addon, path, id, open, ...room };
}

if (isMainThread) {
  const [, , path, how, name, count] = process.argv;
  const { addon, open, semaphore } = load(path);
  addon.lockArguments.set([open('busy', true), 0]);
  addon.lockTryAcquire();
  const named = addon.semOpen(semaphore, 1, 0o600, 1);

  const start = () => {
    const begun = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL(import.meta.url), { workerData: { path, name, begun } });
    worker.on('error', (error) => {
      console.error(error);
      process.exit(1);
    });
    return { worker, begun };
  };
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Inside the function, or on the way into the addon. */
  const inside = async ({ begun }) => {
    const early = name === 'load' && Math.random() < 0.5;
    while (!early && Atomics.load(begun, 0) === 0) await pause(1);
    await pause(Math.random() * (early ? 60 : 3));
  };
  const AT_ONCE = 3;
  if (how === 'exit') {
    const threads = Array.from({ length: AT_ONCE }, start);
    for (const each of threads) await inside(each);
  } else {
    let left = Number(count);
    const endSome = async () => {
      while (left-- > 0) {
        const thread = start();
        await inside(thread);
        await thread.worker.terminate();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, endSome));
  }
  addon.semUnlink(semaphore);
  addon.semClose(named);
  process.exit(0);
}

const { path, name, begun } = workerData;
const loaded = load(path);
const recipe = await recipes[name](loaded);
for (let round = 0; ; round++) {
  try {
    const done = recipe(round);
    if (name === 'requests') await done;
  } catch {
    // Half of them are called in a way that makes them throw.
  }
  Atomics.store(begun, 0, 1);
}
