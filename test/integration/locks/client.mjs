// A client of the Web Locks API in a process of its own, told what to do over IPC. Each request and what becomes of it
// goes by an id: `granted`, `stolen` and `settled` are reported, and it ends when it is told `end`.

import { createLocks } from 'semlock';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const namespace = isMainThread ? process.argv[2] : workerData;
const locks = createLocks({ namespace });
const [ends, controllers] = [new Map(), new Map()];
const tell = (message) => (isMainThread ? process.send(message) : parentPort.postMessage(message));

const actions = {
  async request({ id, name, options = {} }) {
    controllers.set(id, new AbortController());
    const { abortable, ...rest } = options;
    if (abortable) rest.signal = controllers.get(id).signal;
    try {
      await locks.request(name, rest, (lock) => {
        const shown = lock && { name: lock.name, mode: lock.mode, token: lock.token, abandoned: lock.abandoned };
        tell({ id, event: 'granted', lock: shown, at: Date.now() });
        lock?.signal.addEventListener('abort', () => tell({ id, event: 'stolen' }));
        return lock && new Promise((resolve) => ends.set(id, resolve));
      });
      tell({ id, event: 'settled' });
    } catch (error) {
      const { name: kind, code } = error;
      tell({ id, event: 'settled', error: { kind, code, isDomException: error instanceof DOMException } });
    }
  },
  end: ({ id }) => ends.get(id)(),
  abort: ({ id }) => controllers.get(id).abort(),
  async query({ id }) {
    tell({ id, event: 'settled', result: await locks.query() });
  },
  /** Another client in this process: its messages have ids of their own. */
  thread({ id }) {
    const worker = new Worker(new URL(import.meta.url), { workerData: namespace });
    worker.on('message', tell);
    ends.set(id, () => void worker.terminate());
    actions.inThread = ({ message }) => worker.postMessage(message);
  },
};

(isMainThread ? process : parentPort).on('message', (message) => void actions[message.action](message));
if (isMainThread) {
  process.on('disconnect', () => process.exit());
  tell({ event: 'ready' });
}
