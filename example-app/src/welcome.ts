// What the primary prints when all workers listen: where the example is, and what to try.

import type { LockMode, Settings } from './settings.js';

const MEANING: Record<LockMode, string> = {
  process: 'one lock that all workers share: one request gets it, the others are told busy',
  thread: 'each worker has a lock of its own: they do not exclude each other, and the file shows it',
  none: 'no lock at all: the file shows it',
};

export function welcome({ workers, lock }: Settings, port: number, folder: string): string {
  const url = `http://127.0.0.1:${port}`;
  return `
semlock example: ${workers} ${workers === 1 ? 'worker' : 'workers'} on ${url}
LOCK=${lock}: ${MEANING[lock]}

Open ${url} in a browser, or try it here:

  four requests at once, one lock for /journal
    for i in 1 2 3 4; do curl -sw ' %{http_code}\\n' -X POST '${url}/journal?ms=1000' & done; wait
  is the file whole, do its derived files match?
    curl -s ${url}/journal/check
  a lock per file: a.txt and b.txt do not wait for each other
    for f in a b a b; do curl -sw ' %{http_code}\\n' -d "hello $f" '${url}/files/'$f'.txt?ms=1000' & done; wait
  four requests that wait their turn
    for i in 1 2 3 4; do curl -sw ' %{http_code}\\n' -X POST '${url}/turns?ms=1000' & done; wait
  a decorated controller
    curl -sw ' %{http_code}\\n' -X POST '${url}/report?ms=1000'

LOCK=thread npm start and LOCK=none npm start show what happens without a shared lock.
The files are in ${folder}, until Ctrl-C.
`;
}
