// Clients of the Web Locks API in other processes, as tests use them.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import type { LockManagerSnapshot } from '../../../src/store.js';
import { deferred } from '../../support/deferred.js';

const CLIENT = fileURLToPath(new URL('client.mjs', import.meta.url));

export interface Granted {
  readonly name: string;
  readonly mode: string;
  readonly token: number;
  readonly abandoned: boolean;
}

export interface Outcome {
  readonly error?: { readonly kind: string; readonly code?: unknown; readonly isDomException: boolean };
  readonly result?: LockManagerSnapshot;
}

interface Message extends Outcome {
  readonly id: string;
  readonly event: 'ready' | 'granted' | 'stolen' | 'settled';
  readonly lock: Granted | null;
  readonly at: number;
}

/** A request that another process has made. */
export interface RemoteRequest {
  /** What its callback was given, once it was called. */
  readonly granted: Promise<Granted | null>;
  /** When it was called, in Unix time. */
  readonly grantedAt: Promise<number>;
  /** The lock's signal has aborted. */
  readonly stolen: Promise<void>;
  /** The request's promise has settled. */
  readonly settled: Promise<Outcome>;
  /** Lets the callback end. */
  end(): void;
  /** Aborts the request's signal, if it is `abortable`. */
  abort(): void;
}

export type RemoteOptions = {
  mode?: 'exclusive' | 'shared';
  ifAvailable?: boolean;
  steal?: boolean;
  timeoutMs?: number;
  permits?: number;
  abortable?: boolean;
};

export interface Client {
  readonly pid: number;
  request(name: string, options?: RemoteOptions): RemoteRequest;
  query(): Promise<LockManagerSnapshot>;
  /** Kills the process, which cannot do anything about it. */
  kill(): Promise<void>;
}

/** A worker thread of a client: another client. */
export interface ThreadClient extends Omit<Client, 'pid' | 'kill'> {
  terminate(): void;
}

let ids = 0;

/** Starts a process; it ends with the test. */
export async function startClient(namespace: string): Promise<Client & { startThread(): ThreadClient }> {
  const child = fork(CLIENT, [namespace]);
  const gone = once(child, 'exit');
  onTestFinished(async () => {
    if (child.connected) child.disconnect();
    await gone;
  });
  const listeners = new Map<string, (message: Message) => void>();
  child.on('message', (message: Message) => listeners.get(message.id)?.(message));
  await Promise.race([once(child, 'message'), gone.then(() => Promise.reject(new Error('the client did not start')))]);

  const calls = (send: (message: object) => void) => ({
    request: (name: string, options: RemoteOptions = {}) => request(send, listeners, { name, options }),
    query: async () => {
      const id = `${(ids += 1)}`;
      const settled = new Promise<Message>((resolve) => listeners.set(id, resolve));
      send({ action: 'query', id });
      return (await settled).result!;
    },
  });
  const send = (message: object) => void child.send(message);
  return {
    pid: child.pid!,
    ...calls(send),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
    startThread: () => {
      const id = `${(ids += 1)}`;
      send({ action: 'thread', id });
      return {
        ...calls((message) => send({ action: 'inThread', message })),
        terminate: () => send({ action: 'end', id }),
      };
    },
  };
}

function request(
  send: (message: object) => void,
  listeners: Map<string, (message: Message) => void>,
  given: { name: string; options: RemoteOptions },
): RemoteRequest {
  const id = `${(ids += 1)}`;
  const [granted, grantedAt] = [deferred<Granted | null>(), deferred<number>()];
  const [stolen, settled] = [deferred(), deferred<Outcome>()];
  listeners.set(id, (message) => {
    if (message.event === 'granted') {
      granted.resolve(message.lock);
      grantedAt.resolve(message.at);
    } else if (message.event === 'stolen') stolen.resolve();
    else settled.resolve(message);
  });
  send({ action: 'request', id, ...given });
  return {
    granted: granted.promise,
    grantedAt: grantedAt.promise,
    stolen: stolen.promise,
    settled: settled.promise,
    end: () => send({ action: 'end', id }),
    abort: () => send({ action: 'abort', id }),
  };
}
