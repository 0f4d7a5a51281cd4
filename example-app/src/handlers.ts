// What the routes do with a document, whichever way they are locked. Which document that is stands in `res.locals`.

import type { Request, RequestHandler, Response } from 'express';

import type { Document, Summary } from './document.js';

declare module 'express-serve-static-core' {
  interface Locals {
    document: Document;
  }
}

/** Something that the client got wrong; `status` is what Express answers. */
export class ClientError extends Error {
  readonly status = 400;
}

/** Makes `document` the one that all routes below are about. */
export function about(document: Document): RequestHandler {
  return (_req, res: Response, next) => {
    res.locals.document = document;
    next();
  };
}

/** Appends the body as one line; `?ms=` stretches the work. */
export async function append(req: Request, res: Response): Promise<void> {
  const ms = stretch(req);
  const line = body(req).trim().replaceAll(/\s+/g, ' ') || `a line from worker ${process.pid}`;
  await timed(res, () => res.locals.document.append(line, ms));
}

/** Replaces the text by the body; `?ms=` stretches the work. */
export async function upload(req: Request, res: Response): Promise<void> {
  const ms = stretch(req);
  await timed(res, () => res.locals.document.upload(body(req), ms));
}

/** Answers with the text. */
export async function read(_req: Request, res: Response): Promise<void> {
  res.type('text/plain').send(await res.locals.document.text());
}

/** Answers whether the text is whole and its derived files match. */
export async function check(_req: Request, res: Response): Promise<void> {
  res.json(await res.locals.document.check());
}

/** Removes the document. */
export async function remove(_req: Request, res: Response): Promise<void> {
  await res.locals.document.remove();
  res.status(204).end();
}

/** Answers with who did the work, and when: the page draws it. */
async function timed(res: Response, work: () => Promise<Summary>): Promise<void> {
  res.locals.beginsWork?.();
  const from = Date.now();
  const summary = await work();
  res.json({ worker: process.pid, from, to: Date.now(), ...summary });
}

function body(req: Request): string {
  const text: unknown = req.body;
  return typeof text === 'string' ? text : '';
}

const LONGEST_MS = 10_000;

function stretch(req: Request): number {
  const text = req.query['ms'] ?? '0';
  if (typeof text !== 'string' || !/^\d+$/.test(text) || Number(text) > LONGEST_MS) {
    throw new ClientError(`ms must be a whole number from 0 to ${LONGEST_MS}`);
  }
  return Number(text);
}
