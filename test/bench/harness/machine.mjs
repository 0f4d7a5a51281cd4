// What the figures depend on: the machine, the versions, and what else was running.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

const bench = join(import.meta.dirname, '..');
const { dependencies, optionalDependencies } = readJson(join(bench, 'package.json'));

export function machine() {
  const processors = cpus();
  return {
    processors: `${processors.length} × ${processors[0].model.trim()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `Linux ${release().match(/^[\d.]+/)[0]}, ${libc()}`,
    node: process.version,
  };
}

function libc() {
  const { glibcVersionRuntime } = process.report.getReport().header;
  return glibcVersionRuntime === undefined ? 'musl' : `glibc ${glibcVersionRuntime}`;
}

/** The installed version of semlock and of each peer; those that could not be installed are left out. */
export function versions() {
  const found = { semlock: readJson(join(bench, '../../package.json')).version };
  const { version: express } = createRequire(import.meta.url)('express/package.json');
  found.express = express;
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies }).sort()) {
    try {
      found[name] = readJson(join(bench, 'node_modules', name, 'package.json')).version;
    } catch {
      continue;
    }
  }
  return found;
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/**
 * Watches how much of the processors others use: other programs, and other guests of the host.
 *
 * @returns a function that gives their share since, 0 to 1.
 */
export function watchOthers() {
  const before = cpuTimes();
  return () => {
    const after = cpuTimes();
    const total = after.total - before.total;
    const others = after.busy - before.busy - (after.own - before.own);
    return Math.min(1, Math.max(0, others / total));
  };
}

/** In clock ticks: of all processors since the start, and of this process and the children that it has seen end. */
function cpuTimes() {
  const [user, nice, system, idle, iowait, irq, softirq, steal] = readFileSync('/proc/stat', 'utf8')
    .split('\n', 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  // After the command's name in parentheses: field 3, the state, is the first.
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  return { busy, total: busy + idle + iowait, own };
}
