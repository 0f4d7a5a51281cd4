// App-level: the lock stands in app.ts, before everything below /journal, and no route here knows of it. Readers are
// behind it too, or they might see half of a text.

import { Router } from 'express';

import { Document } from '../document.js';
import { about, append, check, read, remove } from '../handlers.js';

export function journal(folder: string): Router {
  return Router()
    .use(about(new Document(folder)))
    .post('/', append)
    .get('/', read)
    .get('/check', check)
    .delete('/', remove);
}
