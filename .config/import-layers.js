// The one direction in which the parts of `src` import each other:
//
//     errors ← options, names ← native ← lock ← http ← decorators
//                                            ↖ cli
//
// A part imports from its own layer and from those before it, nothing from those after it, and nobody imports index.ts,
// which only exports. What a layer needs from a later one is in the wrong place, or is passed in.

const layers = [
  ['errors.ts'],
  ['options.ts', 'names.ts', 'diagnostics.ts'],
  ['native.ts'],
  ['lock'],
  ['http'],
  ['decorators'],
];
const upToLock = layers.slice(0, 4).flat();

/** Every file and folder of `src` that has a place in this order. */
export const placed = [...layers.flat(), 'cli', 'index.ts'];

/** Zones for `import-x/no-restricted-paths`. */
export const zones = [
  ...layers.map((layer, index) => zone(layer, layers.slice(0, index + 1).flat())),
  zone(['cli'], [...upToLock, 'cli']),
  {
    target: ['./src', './test', './example-app'],
    from: './src/index.ts',
    message: 'index.ts only exports: import the module itself, or the package by its name.',
  },
];

function zone(parts, allowed) {
  return {
    target: parts.map((part) => `./src/${part}`),
    from: './src',
    except: allowed.map((part) => `./${part}`),
    message: `It may import from ${allowed.join(', ')} alone.`,
  };
}
