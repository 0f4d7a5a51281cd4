// The one direction in which the parts of `src` import each other:
//
//     errors ← options, names, observe ← store ← stores/* ← hold, lock ← web-locks, http ← decorators ← nest
//                                                                       ↖ cli
//
// A part imports from its own layer and from those before it, nothing from those after it, and nobody imports index.ts,
// which only exports. What a layer needs from a later one is in the wrong place, or is passed in. A store knows the
// contract and nothing above it, and no other store. Only addon.ts loads
// the addon, and only what is of this machine uses it.

import { readdirSync } from 'node:fs';

/** Every store is a folder. That of this machine has more to import than the others; `remote/` is what some share, and asks it who died. */
const stores = readdirSync(new URL('../src/stores', import.meta.url)).map((name) => `stores/${name}/`);

const foundation = [
  'errors.ts',
  'version.ts',
  'abort.ts',
  'options.ts',
  'main-script.ts',
  'names.ts',
  'owners.ts',
  'namespace.ts',
  'timers.ts',
  'at-least.ts',
  'observe/',
];
const contract = [...foundation, 'store.ts'];
const locks = [
  ...contract,
  'stores/process/',
  'default-store.ts',
  'hold.ts',
  'holds.ts',
  'acquire-all.ts',
  'file-name.ts',
  'stored-lock.ts',
  'keyed-locks.ts',
  'lock.ts',
  'semaphore.ts',
  'ownership.ts',
  'reentrant-lock.ts',
];

/** What each part may import. */
const allowed = {
  'errors.ts': [],
  'abort.ts': ['errors.ts'],
  'options.ts': foundation,
  'main-script.ts': foundation,
  'names.ts': foundation,
  'owners.ts': foundation,
  'namespace.ts': foundation,
  'timers.ts': [],
  'at-least.ts': foundation,
  'version.ts': [],
  'observe/': foundation,
  'store.ts': foundation,
  'addon.ts': foundation,
  'native.ts': [...foundation, 'addon.ts'],
  ...Object.fromEntries(stores.map((store) => [store, [...contract, store, 'stores/remote/']])),
  'stores/remote/': [...contract, 'stores/process/', 'stores/remote/'],
  'stores/process/': [...contract, 'native.ts', 'stores/process/'],
  'default-store.ts': [...contract, 'stores/process/'],
  'hold.ts': contract,
  'file-name.ts': foundation,
  'stored-lock.ts': [...contract, 'default-store.ts', 'file-name.ts', 'hold.ts'],
  'holds.ts': [...contract, 'hold.ts'],
  'acquire-all.ts': locks,
  'keyed-locks.ts': contract,
  'lock.ts': locks,
  'semaphore.ts': locks,
  'ownership.ts': locks,
  'reentrant-lock.ts': locks,
  'primitives/': [...locks, 'native.ts', 'primitives/'],
  'web-locks/': [...locks, 'web-locks/'],
  'tus/': [...locks, 'web-locks/', 'tus/'],
  'testing/': [],
  'conformance/': [...locks, 'web-locks/', 'conformance/'],
  'http/': [...locks, 'http/'],
  'decorators/': [...locks, 'http/', 'decorators/'],
  'nest/': [...locks, 'web-locks/', 'http/', 'decorators/', 'nest/'],
  'cli/': [...locks, 'stores/postgres/', 'stores/redis/', 'web-locks/', 'cli/'],
};

/** Every file and folder (with a slash) of `src`. */
export const parts = [...Object.keys(allowed), 'index.ts'];

const loaders = [
  {
    name: 'node:module',
    importNames: ['createRequire'],
    message: 'Only src/addon.ts loads the addon, and stores a client.',
  },
];

/** ESLint configurations that hold each part of `src` to the order. */
export const layerRules = Object.keys(allowed).map((part) => mayImport(part, allowed[part]));

function mayImport(part, allowed) {
  const isFolder = part.endsWith('/');
  const own = isFolder ? part.split('/').at(-2) : undefined;
  // A sibling within a folder of folders, such as another store, is `../sibling/`.
  const family = part.split('/').slice(0, -2).join('/');
  const forbidden = parts
    .filter((other) => other !== part && !allowed.includes(other))
    .flatMap((other) =>
      family !== '' && other.startsWith(`${family}/`) ? [other, other.slice(family.length + 1)] : [other],
    )
    .filter((other) => other !== `${own}/`)
    .map((other) => other.replace('.ts', String.raw`\.js$`));
  const srcFolder = isFolder ? String.raw`(\.\./)+` : String.raw`\./`;
  return {
    files: [`src/${part}${isFolder ? '**' : ''}`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: ['addon.ts', 'stores/postgres/', 'stores/redis/'].includes(part) ? [] : loaders,
          patterns: [
            {
              regex: `^${srcFolder}(${forbidden.join('|')})`,
              message: `src/${part} may import ${allowed.join(', ')} alone.`,
            },
          ],
        },
      ],
    },
  };
}
