// What examples take for granted: the reader's app, handlers and functions.

import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';

declare global {
  const app: Express;
  const handler: RequestHandler;
  const file: string;
  const req: Request;
  const res: Response;
  const next: NextFunction;

  function render(): Promise<void>;
  function renderThumbnail(file: string): Promise<void>;
  function rewrite(file: string): Promise<void>;
  function rewriteReport(): Promise<void>;
  function rewriteLedger(): Promise<void>;
  function readLedger(): Promise<void>;
}
