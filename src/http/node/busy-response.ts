// "Busy", sent by node:http. A request body that nobody read needs nothing here: Node.js discards it once the response
// is out, and the connection stays usable.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { busyAnswers, type BusyOptions } from '../core/busy-answer.js';

/** Makes the function that answers "busy". */
export function busyResponder(options: BusyOptions) {
  const answerTo = busyAnswers(options);

  return function answerBusy(req: IncomingMessage, res: ServerResponse): void {
    const { status, headers, body } = answerTo(req.headers.accept);
    res.writeHead(status, headers);
    res.end(body); // A string goes out in one piece with the head. Node.js sends no body for HEAD.
  };
}
