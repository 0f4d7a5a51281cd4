// Route-level: each route names its lock. `fileLock()` stands before a handler, `locked()` around one; the same name
// is the same lock.

import { Router } from 'express';
import { fileLock, locked } from 'semlock';

import { Document } from '../document.js';
import { about, append, check, read, remove } from '../handlers.js';
import { locking } from '../locking.js';

export function ledger(folder: string): Router {
  return Router()
    .use(about(new Document(folder)))
    .post('/', fileLock('ledger', locking), append)
    .get('/', fileLock('ledger', locking), read)
    .get('/check', locked('ledger', check, locking))
    .delete('/', locked('ledger', remove, locking));
}
