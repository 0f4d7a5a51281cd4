// Joins what tsc has made, in dist/.modules, into few files of dist: to find, read and compile each of some 60 files takes
// Node.js longer than all that they do. `import 'semlock'` loads two, the command one. The modules stay functions, each
// called when it is required first, so those of other commands than the one that was asked for are never compiled.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const from = join(dist, '.modules');

/** One of our own modules that another requires. */
const OURS = /\brequire\(["'](\.{1,2}\/[^"']+)["']\)/g;
/** A package that most programs never need: it is loaded when it is used, not when this one is imported. */
const LATE = /__importDefault\(require\("(negotiator)"\)\)/g;
/** Stays by itself in the library: in a file this long, ncc does not see the paths of the binaries. */
const ADDON = 'addon.js';

/** The text of `entry` and of all modules that it requires, by their paths. */
function modulesOf(entry, modules = new Map()) {
  if (modules.has(entry)) return modules;
  const text = readFileSync(join(from, entry), 'utf8').replace(/^#!.*/, '');
  modules.set(entry, text);
  for (const [, name] of text.matchAll(OURS)) modulesOf(join(dirname(entry), name), modules);
  return modules;
}

/** Only `exports` is a module's own: to tools that read it, the file is one CommonJS module with plain requires. */
function asFunction(file, text, modules) {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, removeComments: true },
  });
  const body = outputText
    .replace(/^"use strict";\n/, '')
    .replace(OURS, (_, name) => required(join(dirname(file), name), modules))
    .replace(LATE, '{ get default() { return require("$1"); } }');
  return `${JSON.stringify(file)}(exports) {\n${body}},\n`;
}

function required(file, modules) {
  if (modules.has(file)) return `__load(${JSON.stringify(file)})`;
  return `{ get loadAddon() { return require("./${ADDON}").loadAddon; } }`;
}

function joined(modules, last) {
  return `"use strict";
const __modules = {
${[...modules].map(([file, text]) => asFunction(file, text, modules)).join('')}};
const __loaded = {};
function __load(file) {
  const known = __loaded[file];
  if (known !== undefined) return known;
  const exports = (__loaded[file] = {});
  __modules[file](exports);
  return exports;
}
${last}
`;
}

/** In the place of a module that was joined. The first line tells Node.js what can be imported from it by name. */
function door(file, text) {
  const names = new Set();
  for (const [, one, other] of text.matchAll(/\bexports\.(\w+) =|\bdefineProperty\(exports, "(\w+)"/g)) {
    names.add(one ?? other);
  }
  const all = JSON.stringify(`./${relative(dirname(file), 'semlock.js')}`);
  return `"use strict";
0 && (module.exports = { ${[...names].join(', ')} });
module.exports = require(${all})(${JSON.stringify(file)});
`;
}

const library = modulesOf('index.js');
library.delete(ADDON);
for (const file of readdirSync(from, { recursive: true }).filter((each) => each.endsWith('.js'))) {
  mkdirSync(dirname(join(dist, file)), { recursive: true });
  const text = library.get(file);
  if (text === undefined) copyFileSync(join(from, file), join(dist, file));
  else writeFileSync(join(dist, file), door(file, text));
}
writeFileSync(join(dist, 'semlock.js'), joined(library, 'module.exports = __load;'));
writeFileSync(join(dist, 'command.js'), joined(modulesOf('cli/main.js'), '__load("cli/main.js");'));
