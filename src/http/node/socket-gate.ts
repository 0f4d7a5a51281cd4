// Holds back what a connection of HTTP/1 sends while a lock is held, until the lock is free or it is certain that this is
// not the end of the answer. Otherwise a client could have its answer, send the next request, and find its own lock.
//
// Node.js hands what res.end() gives to the kernel at once. Here it waits in the corked socket until the code that is
// running has returned, as what res.write() gives always does. So the lock is held for the work that a handler still
// does after res.end().

import type { ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

import { shared } from './shared.js';

/** An exchange, as the connection of its answer sees it. */
export interface Gated {
  readonly response: ServerResponse;
  /** Something was sent, and the code that sent it has returned. */
  settle(): void;
  /** Another exchange has taken the connection, which does not lead to this one any more. */
  displaced(): void;
  /** The connection has closed; `byHandler` when it was the handler that closed it. */
  connectionClosed(byHandler: boolean): void;
}

type Destroy = (error?: Error) => Socket;

/** All that hold something back now. */
const holding = new Set<SocketGate>();
let waitsForExit = false;

export class SocketGate {
  readonly #socket: Socket & { server?: Server };
  readonly #uncork: () => void;
  readonly #destroy: Destroy;
  /** The exchange that the connection answers and that holds locks. */
  #current: Gated | undefined;
  #holds = false;
  /** How often the socket was uncorked by others in the meantime. */
  #uncorked = 0;
  #timedOut = false;
  #closedByHandler = false;

  /** The gate of a connection. */
  static of(socket: Socket): SocketGate {
    let gate = shared.gates.get(socket) as SocketGate | undefined;
    if (gate === undefined) {
      gate = new SocketGate(socket);
      shared.gates.set(socket, gate);
    }
    return gate;
  }

  private constructor(socket: Socket & { server?: Server }) {
    this.#socket = socket;
    const { write, uncork, destroy } = socket as unknown as Record<'write' | 'uncork' | 'destroy', Method>;
    this.#uncork = uncork.bind(socket);
    this.#destroy = destroy.bind(socket) as Destroy;
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- `this` is the socket in what follows.
    const gate = this;
    Object.assign(socket, {
      write(this: Socket, chunk: unknown, encoding: unknown, callback: unknown) {
        gate.#beforeWrite();
        return write.call(this, chunk, encoding, callback);
      },
      uncork() {
        if (gate.#holds) gate.#uncorked += 1;
        else gate.#uncork();
      },
      destroy(this: Socket, error: unknown, callback: unknown) {
        gate.#beforeDestroy(error);
        return destroy.call(this, error, callback);
      },
    });
    // Ahead of all that the close of the response sets off, such as the end of what was piped into it.
    socket.prependListener('close', () => this.#current?.connectionClosed(this.#closedByHandler));
    socket.prependListener('timeout', () => (this.#timedOut = true));
    if (socket.server !== undefined) noticeClosingOfAll(socket.server);
    if (!waitsForExit) {
      waitsForExit = true;
      process.once('exit', letOutAll);
    }
  }

  /** The exchange that the connection answers and that holds locks. */
  get current(): Gated | undefined {
    return this.#current;
  }

  /** How much was sent before and is about to be. */
  get bytesWritten(): number {
    return this.#socket.bytesWritten;
  }

  /** From now on what is sent is the answer of `exchange`, and held back until the code that sends it has returned. */
  admit(exchange: Gated): void {
    if (this.#current !== undefined && this.#current !== exchange) this.#current.displaced();
    this.#current = exchange;
    this.#timedOut = false;
  }

  /** Holds back what is sent until {@link letOut}. */
  holdBack(): void {
    if (this.#holds) return;
    this.#holds = true;
    holding.add(this);
    this.#socket.cork();
  }

  /** Sends what was held back. */
  letOut(): void {
    if (!this.#holds) return;
    this.#holds = false;
    holding.delete(this);
    this.#uncork();
    for (; this.#uncorked > 0; this.#uncorked--) this.#uncork();
  }

  /** `exchange` holds no lock any more, or has been answered. */
  forget(exchange: Gated): void {
    if (this.#current === exchange) this.#current = undefined;
  }

  /** Ends the connection, which is not the handler's doing. */
  disconnect(): void {
    this.letOut();
    this.#destroy();
  }

  #beforeWrite(): void {
    if (this.#holds || this.#current === undefined) return;
    this.holdBack();
    process.nextTick(settle, this);
  }

  /** What was sent would be lost. Without this it would have been out. */
  #beforeDestroy(error: unknown): void {
    if (this.#holds) this.settle();
    this.letOut();
    if (this.#current !== undefined && !this.#socket.destroyed) this.#closedByHandler = this.#isByHandler(error);
  }

  settle(): void {
    if (this.#current === undefined) this.letOut();
    else this.#current.settle();
  }

  /**
   * Whether it is the handler that destroys the connection, since it gives the answer up. It must not be said of what a
   * client can cause, because a lock that is released while a handler works protects nothing.
   */
  #isByHandler(error: unknown): boolean {
    const { response } = this.#current!;
    if (response.destroyed) return true; // res.destroy(), by the handler or by a pipeline that failed
    // The error handlers of Express and Connect cannot answer once the head is out, and close the connection instead.
    const socket = this.#socket;
    return (
      response.headersSent &&
      (error === undefined || error === null) && // Node.js gives the error of a connection that broke
      !socket.errored &&
      !socket.readableEnded &&
      !this.#timedOut &&
      !shared.closingAll &&
      socket.server?.listening === true &&
      !hasFailedToParse(socket)
    );
  }
}

type Method = (this: Socket, ...args: unknown[]) => unknown;

function settle(gate: SocketGate): void {
  gate.settle();
}

/** What a handler sends before it ends the process is sent. */
function letOutAll(): void {
  for (const gate of holding) {
    gate.settle();
    gate.letOut();
  }
}

/**
 * Node.js takes its own listener for errors away before it tells an app's listener of `clientError`, which may destroy
 * the socket: what the client sent was no HTTP, or came too slowly.
 */
function hasFailedToParse(socket: Socket): boolean {
  return !socket.listeners('error').some(({ name }) => name === 'socketOnError');
}

/** Notices when a server closes all its connections, whatever their handlers do. */
function noticeClosingOfAll(server: Server & { closeAllConnections?: () => void }): void {
  if (shared.servers.has(server)) return;
  shared.servers.add(server);
  const closeAll = server.closeAllConnections;
  if (closeAll === undefined) return;
  server.closeAllConnections = function (this: unknown) {
    shared.closingAll = true;
    try {
      closeAll.call(this);
    } finally {
      shared.closingAll = false;
    }
  };
}
