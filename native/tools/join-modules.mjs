// Joins what tsc has made, in dist/.modules, into few files of dist: to find, read and compile each of some 60 files takes
// Node.js longer than all that they do. `import 'semlock'` loads two, the command one. The modules stay functions, each
// called when it is required first, so those of other commands than the one that was asked for are never compiled. What an
// import does not run is in files beside, because to look through it would take as long as to run the import: what locks of this
// machine are made of, and requests. The file of the command has what `semlock run` needs; the rest is in a file beside it, too.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const from = join(dist, '.modules');

/** One of our own modules that another requires. */
const OURS = /\brequire\(["'](\.{1,2}\/[^"']+)["']\)/g;
/** The same, where it is required at once. */
const AT_ONCE = /(?<!=> )\brequire\(["'](\.{1,2}\/[^"']+)["']\)/g;
/** A package that most programs never need: it is loaded when it is used, not when this one is imported. */
const LATE = /__importDefault\(require\("(negotiator)"\)\)/g;
/** Stays by itself in the library: in a file this long, ncc does not see the paths of the binaries. */
const ADDON = 'addon.js';
/** Loaded when something of them is used first, with what only they need. All that is used of them is functions and classes. */
const LATER = {
  process: ['stores/process/process-lock.js', 'stores/process/query.js'],
  http: ['http/core/options.js', 'http/node/pass.js'],
};
/** Of what program it is, `semlock` does not ask, and to find out loads worker threads. */
const MAIN_SCRIPT = 'main-script.js';

/** The text of `entry` and of all modules that it requires, by their paths. */
function modulesOf(entry, requires = OURS, modules = new Map()) {
  if (modules.has(entry)) return modules;
  const text = readFileSync(join(from, entry), 'utf8').replace(/^#!.*/, '');
  modules.set(entry, text);
  for (const [, name] of text.matchAll(requires)) modulesOf(join(dirname(entry), name), requires, modules);
  return modules;
}

/**
 * Only `exports` is a module's own: to tools that read it, the file is one CommonJS module with plain requires. In
 * parentheses V8 compiles a function when it reads it. Otherwise it would read it once more when it is called, and what
 * is in it a third time.
 */
function asFunction(file, text, load) {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, removeComments: true },
  });
  const body = outputText
    .replace(/^"use strict";\n/, '')
    .replace(OURS, (_, name) => load(join(dirname(file), name)))
    .replace(LATE, '{ get default() { return require("$1"); } }');
  return `${JSON.stringify(file)}: (function (exports) {\n${body}}),\n`;
}

const loaded = (file) => `__load(${JSON.stringify(file)})`;

/** For a module that is not to be loaded before something of it is used. */
function late(file, load) {
  const names = namesOf(readFileSync(join(from, file), 'utf8'));
  return `{ ${names.map((name) => `get ${name}() { return ${load}.${name}; }`).join(', ')} }`;
}

function functionsOf(modules, load) {
  return `{\n${[...modules].map(([file, text]) => asFunction(file, text, load)).join('')}}`;
}

/** `other` gives what a file beside exports. */
function joined(modules, load, other, last) {
  return `"use strict";
const __modules = ${functionsOf(modules, load)};
const __loaded = {};
function __load(file) {
  const known = __loaded[file];
  if (known !== undefined) return known;
  if (!Object.hasOwn(__modules, file)) Object.assign(__modules, ${other}(__load));
  const exports = (__loaded[file] = {});
  __modules[file](exports);
  return exports;
}
${last}
`;
}

/** A file beside a joined one, for modules that it loads later. */
const beside = (modules, load) => `"use strict";\nmodule.exports = (__load) => (${functionsOf(modules, load)});\n`;

/** What a module exports. */
function namesOf(text) {
  const found = text.matchAll(/\bexports\.(\w+) =|\bdefineProperty\(exports, "(?!__esModule)(\w+)"/g);
  return [...new Set(Array.from(found, ([, one, other]) => one ?? other))];
}

/**
 * In the place of a module that was joined. The first line tells Node.js what can be imported from it by name. It must not
 * take the rest for a module that passes another one on: it would look for names in all of that, which takes longer than to
 * run it.
 */
function door(file, text) {
  const all = JSON.stringify(`./${relative(dirname(file), 'semlock.js')}`);
  return `"use strict";
0 && (module.exports = { ${['__esModule', ...namesOf(text)].join(', ')} });
const load = require(${all});
module.exports = load(${JSON.stringify(file)});
`;
}

const modulesOfAll = (entries, requires) => entries.reduce((all, file) => modulesOf(file, requires, all), new Map());
const without = (modules, known) => new Map([...modules].filter(([file]) => !known.has(file)));

const library = modulesOf('index.js');
library.delete(ADDON);
for (const file of readdirSync(from, { recursive: true }).filter((each) => each.endsWith('.js'))) {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  const text = library.get(file);
  if (text === undefined) copyFileSync(join(from, file), join(dist, file));
  else writeFileSync(join(dist, file), door(file, text));
}
const later = new Set(Object.values(LATER).flat());
const direct = (file) => (file === ADDON ? late(file, `require("./${file}")`) : loaded(file));
const ofLibrary = (file) => (later.has(file) ? late(file, loaded(file)) : direct(file));
const known = without(modulesOf('index.js', OURS, new Map([...later].map((file) => [file, '']))), later);
const other = `(file.startsWith('http/') ? require('./semlock-http.js') : require('./semlock-process.js'))`;
const atOnce = without(known, new Set([ADDON]));
writeFileSync(join(dist, 'semlock.js'), joined(atOnce, ofLibrary, other, 'module.exports = __load;'));
for (const [name, entries] of Object.entries(LATER)) {
  const modules = without(modulesOfAll(entries, OURS), known);
  for (const [file] of modules) known.set(file);
  writeFileSync(join(dist, `semlock-${name}.js`), beside(modules, direct));
}

const command = modulesOfAll(['cli/main.js', 'cli/run.js'], AT_ONCE);
const rest = without(modulesOf('cli/main.js'), command);
const ofCommand = (file) => (file === MAIN_SCRIPT ? late(file, loaded(file)) : loaded(file));
writeFileSync(
  join(dist, 'command.js'),
  joined(command, ofCommand, `require('./command-rest.js')`, loaded('cli/main.js')),
);
writeFileSync(join(dist, 'command-rest.js'), beside(rest, ofCommand));
// For those who start the command by Node.js itself, as where there is no shell.
writeFileSync(join(dist, 'cli/main.js'), '#!/usr/bin/env node\nrequire("../command.js");\n');
