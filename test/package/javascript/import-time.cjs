// Prints how many milliseconds of the processor an import takes; with `show`, what it has loaded.
const { readFileSync } = require('node:fs');

const [, , name, show] = process.argv;
const before = process.cpuUsage();
require(name);
const { user, system } = process.cpuUsage(before);
if (show === undefined) console.log((user + system) / 1000);
else {
  for (const loaded of [...process.moduleLoadList, ...Object.keys(require.cache)]) console.log(loaded);
  console.log(readFileSync('/proc/self/maps', 'utf8'));
}
