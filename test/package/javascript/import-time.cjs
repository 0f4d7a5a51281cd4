// Prints what part of the processor time that Node.js took to start an import takes; with `show`, what it has loaded.
const { readFileSync } = require('node:fs');

const [, , name, show] = process.argv;
const before = process.cpuUsage();
require(name);
const { user, system } = process.cpuUsage(before);
if (show === undefined) console.log((user + system) / (before.user + before.system));
else {
  for (const loaded of [...process.moduleLoadList, ...Object.keys(require.cache)]) console.log(loaded);
  console.log(readFileSync('/proc/self/maps', 'utf8'));
}
