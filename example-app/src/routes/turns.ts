// In turn: a request that finds the lock held elsewhere waits for it, up to 10 seconds, and is served in the order in which
// the requests came.

import { Router } from 'express';
import { fileLock } from 'semlock';

import { Document } from '../document.js';
import { about, append, check, read, remove } from '../handlers.js';
import { locking } from '../locking.js';

export function turns(folder: string): Router {
  return Router()
    .use(about(new Document(folder)), fileLock('turns', { ...locking, waitMs: 10_000 }))
    .post('/', append)
    .get('/', read)
    .get('/check', check)
    .delete('/', remove);
}
