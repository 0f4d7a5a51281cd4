// Puts the modules of the command into one file: to find, read and compile some 35 files takes Node.js as long as all that
// the command does itself. The modules stay functions, each called when it is required first, and those of other commands
// than the one that was asked for are never compiled.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const COMMANDS = ['completion', 'ls', 'namespace', 'prune', 'run'];

/** The text of each module, by its path. */
const modules = new Map();

function add(file) {
  if (modules.has(file)) return;
  const text = readFileSync(join(dist, file), 'utf8')
    .replace(/^#!.*/, '')
    .replace(/\n\/\/# sourceMappingURL=.*/, '');
  modules.set(file, text);
  for (const [, name] of text.matchAll(/\brequire\(["'](\.{1,2}\/[^"']+)["']\)/g)) add(join(dirname(file), name));
}

for (const name of ['main', ...COMMANDS]) add(`cli/${name}.js`);

const functions = [...modules].map(
  ([file, text]) => `${JSON.stringify(file)}(exports, require, module, __filename, __dirname) {\n${text}\n},\n`,
);
writeFileSync(
  join(dist, 'cli/semlock.js'),
  `"use strict";
const { dirname, join } = require("node:path");
const dist = dirname(__dirname);
const modules = {
${functions.join('')}};
const loaded = {};
function load(file) {
  const known = loaded[file];
  if (known !== undefined) return known.exports;
  const module = (loaded[file] = { exports: {} });
  const requireFrom = (name) => (name.startsWith(".") ? load(join(dirname(file), name)) : require(name));
  modules[file](module.exports, requireFrom, module, join(dist, file), dirname(join(dist, file)));
  return module.exports;
}
load("cli/main.js");
`,
);
