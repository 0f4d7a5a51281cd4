// A server in the memory of this thread, for tests that need things to happen in one order: each operation can be held up,
// before or after it is done there, and notices come when the server hands on.

import type { Answer, Ask, Backend, Holding, Notice, Renewal, SessionId } from '../../../src/stores/remote/backend.js';

type Operation = 'begin' | 'renew' | 'end' | 'acquire' | 'cancel' | 'release' | 'holdings';

interface Row {
  readonly sid: string;
  readonly name: string;
  readonly request: number;
  readonly token: number;
}

export class FakeServer {
  /** All that was asked, in order: `acquire 1` is the first request of a session. */
  readonly log: string[] = [];
  readonly sessions = new Map<string, { until: number; last: number }>();
  holders: Row[] = [];
  queue: Omit<Row, 'token'>[] = [];
  /** Called before an operation is done; what it gives is awaited, and when that rejects nothing is done. */
  before: (op: Operation, sid: string) => Promise<void> | void = () => undefined;
  /** Called when it is done, before it is answered; when it rejects, the answer is lost. */
  after: (op: Operation, sid: string) => Promise<void> | void = () => undefined;
  readonly listeners = new Map<string, (notice: Notice) => void>();
  #token = 0;

  backend(more: Partial<Backend> = {}): Backend {
    const run = async <T>(op: Operation, sid: string, act: () => T, what: string | number = ''): Promise<T> => {
      this.log.push(`${op} ${what}`.trim());
      await this.before(op, sid);
      const answer = act();
      await this.after(op, sid);
      return answer;
    };
    return {
      name: 'fake',
      can: { sync: false, wait: true, share: false, steal: true, permits: false },
      begin: ({ sid }, leaseMs, suspect) =>
        run('begin', sid, () => this.#begin(sid, leaseMs), suspect ? 'suspect' : ''),
      renew: ({ sid }, leaseMs) => run('renew', sid, () => this.#renew(sid, leaseMs)),
      end: ({ sid }) => run('end', sid, () => this.end(sid)),
      acquire: ({ sid }, ask) => run('acquire', sid, () => this.#acquire(sid, ask), ask.request),
      cancel: ({ sid }, _lock, request) => run('cancel', sid, () => this.#cancel(sid, request), request),
      release: ({ sid }, _lock, { request }) => run('release', sid, () => this.#release(sid, request), request),
      holdings: ({ sid }) => run('holdings', sid, () => this.holders.filter((row) => row.sid === sid) as Holding[]),
      query: () => Promise.resolve({ held: [], pending: [], gaps: [] }),
      listen: ({ sid }: SessionId, tell) => {
        this.listeners.set(sid, tell);
        return Promise.resolve(() => void this.listeners.delete(sid));
      },
      close: () => Promise.resolve(),
      ...more,
    };
  }

  end(sid: string): boolean {
    const was = this.sessions.delete(sid);
    this.holders = this.holders.filter((row) => row.sid !== sid);
    this.queue = this.queue.filter((row) => row.sid !== sid);
    this.#serve();
    return was;
  }

  #begin(sid: string, leaseMs: number): void {
    this.sessions.set(sid, { until: performance.now() + leaseMs, last: 0 });
  }

  #isAlive(sid: string): boolean {
    const session = this.sessions.get(sid);
    if (session !== undefined && session.until <= performance.now()) this.end(sid);
    return this.sessions.has(sid);
  }

  #renew(sid: string, leaseMs: number): Renewal {
    if (!this.#isAlive(sid)) return { alive: false };
    this.sessions.get(sid)!.until = performance.now() + leaseMs;
    const held = this.holders.filter((row) => row.sid === sid).length;
    return { alive: true, held, stolen: [], incarnation: 'one' };
  }

  #acquire(sid: string, { lock: { name }, request, wait, steal }: Ask): Answer {
    for (const other of [...this.sessions.keys()]) this.#isAlive(other);
    const session = this.sessions.get(sid);
    if (session === undefined) return { is: 'expired' };
    const isMine = (row: Omit<Row, 'token'>) => row.sid === sid && row.request === request;
    const held = this.holders.find(isMine);
    if (held !== undefined) return { is: 'granted', token: held.token, abandoned: false };
    if (this.queue.some(isMine)) return { is: 'queued', againMs: -1 };
    if (request <= session.last) return { is: 'over' };
    session.last = request;
    if (steal) this.holders = this.holders.filter((row) => row.name !== name);
    if (!this.holders.some((row) => row.name === name))
      return { is: 'granted', token: this.#grant(sid, name, request), abandoned: false };
    if (!wait) return { is: 'busy' };
    this.queue.push({ sid, name, request });
    return { is: 'queued', againMs: -1 };
  }

  #grant(sid: string, name: string, request: number): number {
    this.#token += 1;
    this.holders.push({ sid, name, request, token: this.#token });
    return this.#token;
  }

  #cancel(sid: string, request: number): void {
    const session = this.sessions.get(sid);
    if (session !== undefined) session.last = Math.max(session.last, request);
    this.queue = this.queue.filter((row) => row.sid !== sid || row.request !== request);
    this.#release(sid, request);
  }

  #release(sid: string, request: number): boolean {
    this.holders = this.holders.filter((row) => row.sid !== sid || row.request !== request);
    this.#serve();
    return true;
  }

  #serve(): void {
    for (const ticket of [...this.queue]) {
      if (this.holders.some(({ name }) => name === ticket.name)) continue;
      this.queue.splice(this.queue.indexOf(ticket), 1);
      const token = this.#grant(ticket.sid, ticket.name, ticket.request);
      this.listeners.get(ticket.sid)?.({ is: 'granted', request: ticket.request, token, abandoned: false });
    }
  }
}
