// A server on a free port and a client that can be as rude as clients are: it leaves, resets, sends several requests at
// once or does not read.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

import { onTestFinished } from 'vitest';

/** Serves until the test is over; gives the port. */
export async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return (server.address() as AddressInfo).port;
}

/** One connection, with everything that came back over it. */
export class RawClient {
  received = '';
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => (this.received += text));
    this.socket.on('error', () => undefined);
    onTestFinished(() => void this.socket.destroy());
  }

  get(path = '/', headers: Record<string, string> = {}): this {
    return this.request('GET', path, headers);
  }

  request(method: string, path: string, headers: Record<string, string> = {}, body = ''): this {
    const lines = Object.entries({ Host: 'test', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
    return this;
  }

  /** Closes the connection properly. */
  leave(): void {
    this.socket.destroy();
  }

  /** Breaks the connection. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** The status codes received so far, in order. */
  get statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  }
}
