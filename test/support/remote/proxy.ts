// Stands between processes and a server, and does to their connections what networks do.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `deaf`: what the clients say is lost. `mute`: what the server says is. */
export type Way = 'open' | 'deaf' | 'mute';

export class Proxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  #way: Way = 'open';

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const server = connect(target, '127.0.0.1');
      const pair = [client, server] as const;
      this.#pairs.add(pair);
      client.on('data', (data) => this.#way !== 'deaf' && server.write(data));
      server.on('data', (data) => this.#way !== 'mute' && client.write(data));
      const end = (): void => {
        this.#pairs.delete(pair);
        client.destroy();
        server.destroy();
      };
      for (const socket of pair) socket.on('error', end).on('close', end);
    });
  }

  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** What is lost stays lost: when it opens again, the connections of before end. */
  set way(way: Way) {
    this.#way = way;
    if (way === 'open') this.cut();
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /**
   * Ends the clients' connections without an answer to what they have just asked, which reaches the server: before they ask
   * again, or `lateMs` later.
   */
  cutAnswers(lateMs: number): void {
    for (const pair of [...this.#pairs]) {
      const [client, server] = pair;
      client.removeAllListeners('data').once('data', (data: Buffer) => {
        this.#pairs.delete(pair);
        for (const socket of pair) socket.removeAllListeners('close');
        client.destroy();
        setTimeout(() => server.end(data), lateMs);
      });
    }
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }
}
