// A lock per file: requests for the same file exclude each other, requests for different files do not.

import { join } from 'node:path';

import { Router, type Request } from 'express';
import { fileLock } from 'semlock';

import { Document } from '../document.js';
import { append, check, ClientError, read, remove, upload } from '../handlers.js';
import { locking } from '../locking.js';

/** No separator and no leading dot, so that a name can lead nowhere but into the folder. */
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/;

export function files(folder: string): Router {
  const lock = fileLock({ ...locking, name: (req: Request) => `file:${String(req.params['name'])}` });
  const router = Router();
  // Runs before the lock: a name that is refused does not take one.
  router.param('name', (_req, res, next, name: string) => {
    if (!FILE_NAME.test(name)) {
      next(new ClientError('a file name has 1 to 64 letters, digits, "_", "-" or ".", and begins without a "."'));
      return;
    }
    res.locals.document = new Document(join(folder, name));
    next();
  });
  return router
    .put('/:name', lock, upload)
    .post('/:name', lock, append)
    .get('/:name', lock, read)
    .get('/:name/check', lock, check)
    .delete('/:name', lock, remove);
}
