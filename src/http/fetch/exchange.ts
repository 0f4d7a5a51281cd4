// A request and its answer in the style of fetch: the handler gives a Response, whose body may still be made while it is
// sent. What tells that the client has left is the request's signal.

import type { IncomingMessage } from 'node:http';

import { Exchange } from '../core/exchange.js';
import { sentOf } from '../node/exchange.js';
import { guardBody, type GuardedBody } from './body.js';

/** The exchanges that hold locks, by their requests: also those of other copies of this package. */
const EXCHANGES = Symbol.for('semlock.http.fetch.1');
const scope = globalThis as { [EXCHANGES]?: WeakMap<Request, FetchExchange> };
const exchanges = (scope[EXCHANGES] ??= new WeakMap());

/** The exchange of a request; `incoming` is the request of HTTP/1 that it was made from, where the framework tells it. */
export function exchangeOf(request: Request, incoming?: IncomingMessage): FetchExchange {
  let exchange = exchanges.get(request);
  if (exchange === undefined) exchanges.set(request, (exchange = new FetchExchange(request, incoming)));
  return exchange;
}

export class FetchExchange extends Exchange {
  readonly #request: Request;
  readonly #incoming: IncomingMessage | undefined;
  #body: GuardedBody | undefined;
  #answered = false;

  constructor(request: Request, incoming: IncomingMessage | undefined) {
    super();
    this.#request = request;
    this.#incoming = incoming;
  }

  isOver(): boolean {
    return this.#answered || this.#request.signal.aborted;
  }

  onLeave(leave: () => void): () => void {
    const { signal } = this.#request;
    signal.addEventListener('abort', leave, { once: true });
    return () => signal.removeEventListener('abort', leave);
  }

  title(): string {
    return `${this.#request.method} ${this.#request.url}`;
  }

  details(): { request: Request } {
    return { request: this.#request };
  }

  disconnect(): void {
    this.#body?.fail(new Error('The client has done nothing for too long'));
    this.#incoming?.socket.destroy();
  }

  taken(): number | undefined {
    return this.#body?.taken();
  }

  sent(): number | undefined {
    return this.#incoming === undefined ? undefined : sentOf(this.#incoming);
  }

  /** The handler has returned its answer; gives what to send in its place. */
  async answer(response: Response): Promise<Response> {
    if (response.body === null || this.#request.method === 'HEAD') {
      await this.#end('answered');
      return response;
    }
    // Not read by anybody, and then nobody cancels it either.
    if (this.#request.signal.aborted) void this.#end('given up');
    const length = Number(response.headers.get('content-length') ?? Infinity);
    this.#body = guardBody(response.body, length, {
      made: () => this.#end('answered'),
      broken: () => void this.#end('given up'),
    });
    return new Response(this.#body.stream, response);
  }

  /** There will be no answer of the handler. */
  failed(): void {
    void this.#end('given up');
  }

  protected isAnswered(): boolean {
    return this.#answered;
  }

  /** Nothing is sent before the handler has returned; of the rest {@link answer} takes care. */
  protected holdBack(): void {}
  protected letOut(): void {}

  protected watch(): void {
    const { signal } = this.#request;
    const left = () => this.tell('left');
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
  }

  /** Settles when the locks are free. */
  #end(how: 'answered' | 'given up'): Promise<void> | undefined {
    this.#answered = true;
    this.tell(how);
    return this.releasing;
  }
}
