// The one direction in which the parts of `src` import each other:
//
//     errors ← options, names ← addon ← native ← lock ← http ← decorators
//                                            ↖ cli
//
// A part imports from its own layer and from those before it, nothing from those after it, and nobody imports index.ts,
// which only exports. What a layer needs from a later one is in the wrong place, or is passed in. Only addon.ts loads
// the addon.

const layers = [
  ['errors.ts', 'version.ts'],
  ['options.ts', 'main-script.ts', 'names.ts', 'namespace.ts', 'diagnostics.ts', 'timers.ts'],
  ['addon.ts'],
  ['native.ts'],
  ['lock/'],
  ['http/'],
  ['decorators/'],
];
const upToLock = layers.slice(0, 5).flat();

/** Every file and folder (with a slash) of `src`. */
export const parts = [...layers.flat(), 'cli/', 'index.ts'];

const loaders = [
  { name: 'node:module', importNames: ['createRequire'], message: 'Only src/addon.ts loads the addon.' },
];

/** ESLint configurations that hold each part of `src` to the order. */
export const layerRules = [
  ...layers.flatMap((layer, index) => layer.map((part) => mayImport(part, layers.slice(0, index + 1).flat()))),
  mayImport('cli/', [...upToLock, 'cli/']),
];

function mayImport(part, allowed) {
  const forbidden = parts
    .filter((other) => !allowed.includes(other))
    .map((other) => other.replace('.ts', String.raw`\.js$`));
  const srcFolder = part.endsWith('/') ? String.raw`(\.\./)+` : String.raw`\./`;
  return {
    files: [`src/${part}${part.endsWith('/') ? '**' : ''}`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: part === 'addon.ts' ? [] : loaders,
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
