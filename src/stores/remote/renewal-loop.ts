// Renews sessions at a third of their time, in a worker thread where that is possible, because the main thread may be busy
// for longer than a session lasts. The source of the function is evaluated there, so nothing outside of it is used.

import type { Backend, Renewal, SessionId } from './backend.js';

/** What the loop is told. */
export type LoopOrder =
  | {
      readonly do: 'keep';
      readonly session: SessionId;
      readonly leaseMs: number;
      /** The deadline of the session, and the limit of its oldest hold: see Session. */
      readonly times: BigInt64Array<SharedArrayBuffer>;
    }
  | { readonly do: 'acknowledge'; readonly sid: string; readonly tokens: readonly number[] }
  /** Renew it now. */
  | { readonly do: 'renew'; readonly sid: string }
  | { readonly do: 'forget'; readonly sid: string }
  | { readonly do: 'close' };

/** What the loop tells. A session that is not alive is forgotten by then. */
export interface LoopReport {
  readonly sid: string;
  readonly renewal?: Renewal;
  readonly failed?: Error;
}

interface Timers {
  setTimeout(callback: () => void, ms: number): NodeJS.Timeout;
  clearTimeout(timer: NodeJS.Timeout | undefined): void;
}

/** Gives the function to be called with orders. */
export function renewalLoop(
  connection: Pick<Backend, 'renew' | 'close'>,
  report: (report: LoopReport) => void,
  timers: Timers,
): (order: LoopOrder) => void {
  const THIRD = 3;
  const sessions = new Map<string, () => void>();
  const stops = new Map<string, () => void>();
  const acknowledgements = new Map<string, number[]>();

  const keep = (session: SessionId, leaseMs: number, times: BigInt64Array<SharedArrayBuffer>): void => {
    const { sid } = session;
    let timer: NodeJS.Timeout | undefined;
    let [busy, again] = [false, false];
    const later = (ms: number): void => {
      timers.clearTimeout(timer);
      timer = timers.setTimeout(renewNow, ms);
      timer.unref();
    };
    const renewNow = (): void => void renew();
    const renew = async (): Promise<void> => {
      if (busy) {
        again = true;
        return;
      }
      const sent = process.hrtime.bigint();
      const most = Atomics.load(times, 1);
      if (most !== 0n && sent > most) {
        later(leaseMs / THIRD / 4); // a hold is over its limit, and the main thread does not see to it
        return;
      }
      busy = true;
      const acknowledged = acknowledgements.get(sid) ?? [];
      try {
        const renewal = await connection.renew(session, leaseMs, acknowledged);
        if (!sessions.has(sid)) return;
        if (!renewal.alive) forget(sid);
        else {
          const until = sent + BigInt(Math.round(leaseMs * 1e6));
          if (until > Atomics.load(times, 0)) Atomics.store(times, 0, until);
          const rest = (acknowledgements.get(sid) ?? []).filter((token) => !acknowledged.includes(token));
          if (rest.length > 0) acknowledgements.set(sid, rest);
          else acknowledgements.delete(sid);
          later(leaseMs / THIRD);
        }
        report({ sid, renewal });
      } catch (error) {
        if (!sessions.has(sid)) return;
        later(leaseMs / THIRD / 4);
        report({ sid, failed: error instanceof Error ? error : new Error(String(error)) });
      } finally {
        busy = false;
      }
      if (again && sessions.has(sid)) {
        again = false;
        later(0);
      }
    };
    sessions.set(sid, renewNow);
    stops.set(sid, () => timers.clearTimeout(timer));
    later(leaseMs / THIRD);
  };

  const forget = (sid: string): void => {
    stops.get(sid)?.();
    stops.delete(sid);
    sessions.delete(sid);
    acknowledgements.delete(sid);
  };

  return (order) => {
    if (order.do === 'keep') keep(order.session, order.leaseMs, order.times);
    else if (order.do === 'renew') sessions.get(order.sid)?.();
    else if (order.do === 'forget') forget(order.sid);
    else if (order.do === 'acknowledge') {
      if (sessions.has(order.sid)) {
        acknowledgements.set(order.sid, [...(acknowledgements.get(order.sid) ?? []), ...order.tokens]);
      }
    } else {
      for (const sid of [...sessions.keys()]) forget(sid);
      void connection.close();
    }
  };
}
