// The body of an answer in the style of fetch, whose end waits until the lock is free. A client knows an end by the
// length that was announced, or else by the close of the stream; what comes before that passes at once.

/** What becomes of a body. Exactly one of the two is called, once. */
export interface BodyEnd {
  /** All of it was made; called before its end can be read, which waits for the promise. */
  made(): void | Promise<void>;
  /** It will not be read to its end: its reader has cancelled, or its source has failed. */
  broken(): void;
}

export interface GuardedBody {
  readonly stream: ReadableStream<Uint8Array>;
  /** How many pieces were taken, while one more waits to be; else `undefined`. */
  taken(): number | undefined;
  /** Ends it with an error, which its reader gets. */
  fail(error: Error): void;
}

/** Passes a body on. `length` in bytes; `Infinity` where it was not announced. */
export function guardBody(body: ReadableStream<Uint8Array>, length: number, end: BodyEnd): GuardedBody {
  const reader = body.getReader();
  let [given, pieces, waiting, over] = [0, 0, false, false];
  const finish = (how: 'made' | 'broken'): void | Promise<void> => {
    if (over) return undefined;
    over = true;
    return end[how]();
  };
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (own) => void (controller = own),
      async pull() {
        waiting = false; // the reader has taken all that there was
        try {
          const { done, value } = await reader.read();
          given += value?.byteLength ?? 0;
          if (done || given >= length) await finish('made');
          if (done) {
            controller.close();
          } else {
            pieces += 1;
            waiting = true;
            controller.enqueue(value);
          }
        } catch (error) {
          void finish('broken');
          controller.error(error);
        }
      },
      async cancel(reason) {
        void finish('broken');
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 1 }, // one piece ahead, so that it shows whether somebody takes it
  );
  return {
    stream,
    taken: () => (waiting && !over ? pieces : undefined),
    fail(error) {
      void finish('broken');
      controller.error(error);
      void reader.cancel(error).catch(() => undefined);
    },
  };
}
