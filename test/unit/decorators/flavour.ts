// The decorator tests run once for each flavour of decorators; the projects of the vitest configuration say which.

import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    flavour: 'standard' | 'legacy';
  }
}

/** What this run was told that it is compiled to. */
export const flavour = inject('flavour');

/** Any decorator, on any element: for those that must be refused. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyDecorator = (...args: any[]) => any;
