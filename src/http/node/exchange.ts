// A request and response of node:http or node:http2, whatever framework stands on them.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';

import { Exchange } from '../core/exchange.js';
import type { OrphanedMessage as AnyOrphanedMessage } from '../core/lock-use.js';
import { CallGate, onEndWithoutClient } from './response-calls.js';
import { shared } from './shared.js';
import { SocketGate, type Gated } from './socket-gate.js';
import { StreamProgress } from './stream-progress.js';

/** What subscribers of the diagnostics channel `semlock:orphaned` are given of requests of node:http. */
export interface OrphanedMessage extends AnyOrphanedMessage {
  /** The request of the client that left. */
  readonly req: IncomingMessage;
  /** Its response, which the handler has not ended. */
  readonly res: ServerResponse;
}

/** The exchange of a request: the one that it holds locks in, or a new one. */
export function exchangeOf(req: IncomingMessage, res: ServerResponse): Exchange {
  // By its connection, as a rule: to find a request in a WeakMap costs as much as all the rest.
  const { socket } = req;
  const current = (shared.gates.get(socket) as SocketGate | undefined)?.current;
  // Of another copy's class, perhaps.
  if (current?.response === res) return current as unknown as Exchange;
  return (shared.exchanges.get(req) as Exchange | undefined) ?? new NodeExchange(req, res, socket);
}

/**
 * In Express each request and response has a hidden class of its own (Node.js 20 and 22), so that to read a property of
 * them costs many times as much as of other objects, more where it is a getter, and most to add one. So as little as can be
 * is read of them.
 */
class NodeExchange extends Exchange implements Gated {
  readonly response: ServerResponse;
  readonly #req: IncomingMessage;
  readonly #socket: Socket;
  #gate: SocketGate | undefined;
  /** How many bytes the connection had sent before the answer. */
  #sentBefore = 0;
  #answerLength: number | undefined;
  /** How many bytes of the body the handler has given; counted with HTTP/2 alone. */
  #given = 0;
  /** Where there is no gate. */
  #calls: CallGate | undefined;
  /** With HTTP/2. */
  #progress: StreamProgress | undefined;
  #closed = false;
  #stopWatching: (() => void) | undefined;

  constructor(req: IncomingMessage, res: ServerResponse, socket: Socket) {
    super();
    this.#req = req;
    this.response = res;
    this.#socket = socket;
  }

  isOver(): boolean {
    const res = this.response;
    // A response that waits for an earlier one of its connection (pipelining) learns nothing of the socket's end; one that
    // has the connection is destroyed together with it.
    return isDead(this.#socket) || isEnded(res) || (!hasAnswer(this.#socket, res) && res.destroyed);
  }

  onLeave(leave: () => void): () => void {
    const res = this.response;
    // A pipelined response that waits for an earlier one emits nothing when its client leaves. It keeps its place until
    // it is granted the lock, and gives it back at once.
    // Nor does Node.js notice that a client leaves while it does not read the connection, because what it has read of
    // the body is more than it may buffer.
    res.once('close', leave);
    return () => res.off('close', leave);
  }

  title(): string {
    return `${this.#req.method ?? ''} ${this.#req.url ?? ''}`;
  }

  details(): { req: IncomingMessage; res: ServerResponse } {
    return { req: this.#req, res: this.response };
  }

  disconnect(): void {
    if (this.#gate !== undefined) this.#gate.disconnect();
    else if (isHttp2(this.#req)) streamOf(this.response)?.destroy();
    else this.#socket.destroy();
  }

  taken(): number | undefined {
    if (this.#progress !== undefined) return this.#progress.taken;
    const socket = this.#socket;
    if (!(socket.writableLength > 0)) return undefined;
    // What was given to the operating system but for what this has not taken: bytes of one large write count, too.
    const { bytesWritten, writeQueueSize } = handleOf(socket);
    const taken = bytesWritten! - writeQueueSize!;
    return Number.isNaN(taken) ? undefined : taken;
  }

  sent(): number | undefined {
    if (this.#progress === undefined) return sentOf(this.#req);
    return waitsForBody(this.#req) ? this.#progress.sent : undefined;
  }

  displaced(): void {
    shared.exchanges.set(this.#req, this);
  }

  connectionClosed(byHandler: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.isAnswered()) this.tell('answered');
    else if (byHandler) this.tell('given up');
    else {
      this.tell('left');
      onEndWithoutClient(this.#req, this.response, () => this.tell('given up'));
    }
  }

  protected isAnswered(): boolean {
    const res = this.response;
    if (isEnded(res) || this.#calls?.holds === true || this.#progress?.isEnded === true) return true;
    return res.headersSent && this.#bodyIsGiven();
  }

  protected holdBack(): void {
    const [socket, res] = [this.#socket, this.response];
    // It may have to wait for the connection (pipelining).
    if (hasAnswer(socket, res) || (res.socket === socket && this.#req.httpVersionMajor === 1)) {
      this.#takeGate(socket).holdBack();
    } else {
      this.#noticeEnd();
    }
  }

  protected letOut(done: boolean): void {
    this.#gate?.letOut();
    this.#calls?.letOut();
    if (!done) return;
    this.#gate?.forget(this);
    this.#stopWatching?.();
  }

  /** The gate tells of the end of the connection, and of the answer. */
  protected watch(): void {
    if (this.#gate !== undefined) return;
    const [socket, res] = [this.#socket, this.response];
    const closed = () => this.connectionClosed(false);
    // Ahead of the streams that the handler has piped into the response: what they do at its close must not be missed.
    res.prependListener('close', closed);
    // A response of HTTP/2 emits it just before that, and even when its client has left.
    if (isHttp2(this.#req)) res.prependListener('finish', closed);
    if (isHttp2(this.#req) || res.socket !== null) return;
    // A pipelined response gets the connection when the earlier ones are out. Until then it emits nothing, not even when
    // the connection closes.
    // Nothing is held back there already: no code is running whose return would let it out.
    const takeGate = (assigned: Socket) => void this.#takeGate(assigned);
    res.once('socket', takeGate);
    socket.on('close', closed);
    this.#stopWatching = () => {
      socket.off('close', closed);
      res.off('socket', takeGate);
    };
  }

  #takeGate(socket: Socket): SocketGate {
    this.#gate ??= SocketGate.of(socket);
    this.#gate.admit(this);
    this.#sentBefore = this.#gate.bytesWritten;
    return this.#gate;
  }

  /**
   * Where no gate is: with HTTP/2, which sends nothing before the running code has returned; while a response waits for
   * its turn on the connection, and a lock is not held for that; and for what only looks like a response.
   */
  #noticeEnd(): void {
    if (this.#calls !== undefined) return;
    shared.exchanges.set(this.#req, this);
    const [req, res] = [this.#req, this.response];
    const isWhole = (name: string, argument: unknown): boolean => {
      if (name === 'write') this.#given += Buffer.byteLength(argument as string | Buffer);
      if (!this.asksStores) return false;
      if (name === 'end') return true;
      if (name === 'write') return this.#bodyIsGiven();
      return bodyLength(req, name === 'writeHead' ? (argument as number) : res.statusCode, undefined) === 0;
    };
    this.#calls = new CallGate(res, isWhole, () => this.settle());
    this.#calls.watch('end');
    if (!isHttp2(req)) return;
    const stream = streamOf(res);
    if (stream !== undefined) this.#progress = new StreamProgress(stream);
    this.#calls.watch('writeHead');
    this.#calls.watch('flushHeaders');
    this.#calls.watch('write');
  }

  /** An answer of known length is over with its last byte, also when res.end() was not called yet. */
  #bodyIsGiven(): boolean {
    const [gate, req, res] = [this.#gate, this.#req, this.response as ServerResponse & { _header?: string | null }];
    if (isHttp2(req)) return this.#given >= bodyLength(req, res.statusCode, res.getHeader('content-length'));
    if (gate === undefined || typeof res._header !== 'string') return false;
    this.#answerLength ??=
      res._header.length + bodyLength(req, res.statusCode, /^content-length: *(\d+)/im.exec(res._header)?.[1]);
    return gate.bytesWritten - this.#sentBefore >= this.#answerLength;
  }
}

/** How many bytes the client of a request of HTTP/1 has sent, while more of its body is waited for; else `undefined`. */
export function sentOf(req: IncomingMessage): number | undefined {
  return waitsForBody(req) ? handleOf(req.socket).bytesRead : undefined;
}

function waitsForBody(req: IncomingMessage): boolean {
  return (
    !req.complete &&
    !req.destroyed &&
    req.readableLength === 0 &&
    (req.readableFlowing === true || req.listenerCount('readable') > 0)
  );
}

function bodyLength({ method }: IncomingMessage, status: number, header: unknown): number {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  return header === undefined ? Infinity : Number(header);
}

/** As `writableEnded`, by the older property behind it, which is quicker to read: see {@link NodeExchange}. */
function isEnded(res: { readonly finished?: boolean; readonly writableEnded: boolean }): boolean {
  return res.finished ?? res.writableEnded;
}

/**
 * Whether a connection of HTTP/1 is the response's at this moment. Undocumented, and quick to read; where it is missing, the
 * response is asked.
 */
function hasAnswer(socket: Socket | undefined, res: ServerResponse): boolean {
  return (socket as { _httpMessage?: unknown } | undefined)?._httpMessage === res;
}

function isDead(socket: Socket | undefined): boolean {
  return socket?.destroyed === true;
}

function isHttp2({ httpVersionMajor }: IncomingMessage): boolean {
  return httpVersionMajor === 2;
}

/** `undefined` when it is over. */
function streamOf(res: ServerResponse): ServerHttp2Stream | undefined {
  return (res as unknown as { stream?: ServerHttp2Stream }).stream;
}

/** What libuv has counted. Undocumented; where it is missing, a client counts as one that moves. */
function handleOf(socket: Socket): { bytesRead?: number; bytesWritten?: number; writeQueueSize?: number } {
  return (socket as unknown as { _handle?: object | null })._handle ?? {};
}
