// The connections of a client of postgres.js, made here so that they can be ended for good. By itself that client, once it
// waits for a server that is away, connects when the server is back, whatever it was told meanwhile: the process would not end.

import { connect, type Socket } from 'node:net';

import { setTimeout } from '../../timers.js';

/** The options of a `sql`, as it has them. */
export interface PostgresJsOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
  readonly socket?: (options: PostgresJsOptions) => Socket | Promise<Socket>;
}

/** How long a connection has to take its leave, which it does in the next turns: what is written to one that has gone is thrown. */
const LEAVE_MS = 50;

export class Sockets {
  readonly #make: (options: PostgresJsOptions, turn: number) => Socket | Promise<Socket>;
  readonly #open = new Set<Socket>();
  #turn = 0;
  #ended = false;

  /** @param make - the app's own way, if it has one. */
  constructor(make: (options: PostgresJsOptions, turn: number) => Socket | Promise<Socket> = connectTo) {
    this.#make = make;
  }

  /** For the option `socket`. */
  readonly socket = async (options: PostgresJsOptions): Promise<Socket> => {
    const socket = await this.#make(options, this.#turn++);
    // Not by an event: postgres.js removes all listeners of a socket that it encrypts.
    for (const before of this.#open) if (before.destroyed) this.#open.delete(before);
    this.#open.add(socket);
    if (this.#ended) socket.destroy();
    return socket;
  };

  /** They keep the process alive no more. */
  unref(): void {
    for (const socket of this.#open) socket.unref();
  }

  end(): void {
    this.#ended = true;
    setTimeout(() => {
      for (const socket of this.#open) socket.destroy();
    }, LEAVE_MS).unref();
  }
}

/** Of several hosts it is the turn of one after the other. */
function connectTo({ host: hosts, port: ports, path }: PostgresJsOptions, turn: number): Socket {
  if (path) return connect({ path });
  const host = hosts[turn % hosts.length] ?? 'localhost';
  // What encrypts a connection asks for the name of its host there.
  return Object.assign(connect({ host, port: ports[turn % hosts.length] ?? 5432 }), { host });
}
