// How far the client of a stream of HTTP/2 is. The stream shares its connection with others, so the bytes of that tell
// nothing, and Node.js counts none for each stream.

import type { ServerHttp2Stream } from 'node:http2';

/** As much as a file stream gives at a time, so that most streams are sent as they are. */
const PIECE_BYTES = 65_536;

export class StreamProgress {
  readonly #stream: ServerHttp2Stream;
  #taken = 0;
  #window: number | undefined;
  #windowChanges = 0;

  /** Before anything is written. */
  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
    const write = stream.write.bind(stream) as (chunk: unknown, encoding: unknown, callback: Callback) => boolean;
    // Written by pieces, because Node.js tells of a write only when all of it was taken.
    const writePieces = (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
      if (typeof encoding === 'function') return writePieces(chunk, undefined, encoding);
      let rest = chunk;
      if (isLong(chunk)) {
        let bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding as BufferEncoding) : chunk;
        for (; bytes.length > PIECE_BYTES; bytes = bytes.subarray(PIECE_BYTES)) {
          write(bytes.subarray(0, PIECE_BYTES), undefined, () => (this.#taken += 1));
        }
        rest = bytes;
      }
      return write(rest, encoding, (error) => {
        this.#taken += 1;
        (callback as Callback | undefined)?.(error);
      });
    };
    stream.write = writePieces as typeof stream.write;
    // What waits is sent together as long as it is little.
    const together: unknown = Reflect.get(stream, '_writev');
    Object.defineProperty(stream, '_writev', {
      get: () => (stream.writableLength > PIECE_BYTES ? undefined : together),
    });
  }

  /** Whether the handler has ended it, which it can do past its response. Node.js ends one itself whose client has gone. */
  get isEnded(): boolean {
    return this.#stream.writableEnded && !this.#stream.aborted;
  }

  /** How many pieces the client has taken, while more of them wait. */
  get taken(): number | undefined {
    return this.#stream.writableLength > 0 ? this.#taken : undefined;
  }

  /** How often the client was seen to have sent some of its body. */
  get sent(): number {
    const { localWindowSize } = this.#stream.state;
    if (localWindowSize !== this.#window) this.#windowChanges += 1;
    this.#window = localWindowSize;
    return this.#windowChanges;
  }
}

type Callback = (error?: Error | null) => void;

function isLong(chunk: unknown): chunk is string | Uint8Array {
  return (typeof chunk === 'string' || chunk instanceof Uint8Array) && chunk.length > PIECE_BYTES;
}
