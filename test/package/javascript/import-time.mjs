// Prints what part of the processor time that Node.js took to start an import takes.
await import('./empty.cjs'); // with the first CommonJS module Node.js loads what reads them, whosever it is
const before = process.cpuUsage();
await import(process.argv[2]);
const { user, system } = process.cpuUsage(before);
console.log((user + system) / (before.user + before.system));
