// The Express app of each worker. The forms of the lock stand side by side here, one route each.

import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import { fileLock } from 'semlock';

import { Board } from './board.js';
import { locking } from './locking.js';
import { files } from './routes/files.js';
import { journal } from './routes/journal.js';
import { ledger } from './routes/ledger.js';
import { report } from './routes/report-controller.js';
import { turns } from './routes/turns.js';
import type { Settings } from './settings.js';

const PAGE = fileURLToPath(new URL('../public', import.meta.url));

export function createApp(settings: Settings, folder: string): Express {
  const app = express();
  const board = new Board(join(folder, 'unanswered'));
  app.disable('x-powered-by');
  app.use(sayWhoAnswers);
  app.use(express.static(PAGE));
  app.get('/status', (_req, res) => {
    res.json({ lock: settings.lock, workers: settings.workers, unanswered: board.list() });
  });

  // Before the locks, so that a slow upload is received first and does not hold one.
  app.use(express.text({ type: () => true, limit: '64kb' }));
  app.use(board.watch);

  app.use('/journal', fileLock(locking), journal(join(folder, 'journal')));
  app.use('/ledger', ledger(join(folder, 'ledger')));
  app.use('/files', files(join(folder, 'files')));
  app.use('/report', report(join(folder, 'report')));
  app.use('/turns', turns(join(folder, 'turns')));

  app.use(answerError);
  return app;
}

/** The worker and the time of arrival, on every answer: the page draws them. */
const sayWhoAnswers: RequestHandler = (_req, res, next) => {
  res.set({
    'X-Worker': String(process.pid),
    'X-Arrived': String(Date.now()),
    // A connection belongs to one worker. Without this a browser would send request after request to the same one.
    Connection: 'close',
  });
  next();
};

const answerError: ErrorRequestHandler = (error: { status?: number; message: string }, _req, res, next) => {
  if (res.headersSent) {
    next(error);
    return;
  }
  const status = error.status ?? 500;
  if (status >= 500) console.error(error);
  res.status(status).json({ error: error.message });
};
