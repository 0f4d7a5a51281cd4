// Builds the tests of the native core, and runs them under each sanitizer and with musl. Zig, which builds for musl, comes
// from npm and runs on x64.

import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [only] = process.argv.slice(2); // part of a test's sentence

function run(command, args, options) {
  const { error, status } = spawnSync(command, args, { cwd: here, stdio: 'inherit', ...options });
  if (error) console.error(`${command} cannot be run (${error.message}); on Debian: apt-get install make clang`);
  return status ?? 1;
}

// That the compiler finds what a mutex guards used without it.
const unguarded = `#include "../../native/core/mutex.h"
struct Counted { semlock::Mutex mutex; int count GUARDED_BY(mutex) = 0; };
int Read(Counted& counted) { GUARD return counted.count; }`;
const isAccepted = (guard) => {
  const args = ['-std=c++17', '-fsyntax-only', '-Wthread-safety', '-Werror', `-DGUARD=${guard}`, '-x', 'c++', '-'];
  return (
    run('clang++', args, { input: unguarded, stdio: ['pipe', 'inherit', guard === '' ? 'ignore' : 'inherit'] }) === 0
  );
};
if (!isAccepted('semlock::Guard guard(counted.mutex);') || isAccepted('')) {
  console.error('clang++ does not check what mutexes guard');
  process.exit(1);
}

const kinds = { address: 'AddressSanitizer, UndefinedBehaviorSanitizer', thread: 'ThreadSanitizer' };
if (process.arch === 'x64') kinds.musl = 'musl';
const targets = kinds.musl === undefined ? ['sanitizers'] : ['sanitizers', 'musl'];
if (run('make', ['--silent', `--jobs=${availableParallelism()}`, ...targets]) !== 0) process.exit(1);

let passed = 0;
let failed = 0;
for (const [kind, title] of Object.entries(kinds)) {
  console.log(`\n${title}`);
  const program = join(here, `../../build/native-tests/${kind}/tests`);
  const { stdout, status } = spawnSync(program, only === undefined ? [] : [only], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  const lines = (stdout ?? '').trimEnd().split('\n');
  const summary = /^(\d+) passed, (\d+) failed$/.exec(lines.pop() ?? '');
  console.log(lines.join('\n'));
  passed += Number(summary?.[1] ?? 0);
  // A program that came to no summary, or to a clean one with an exit code, counts as one failure.
  failed += Number(summary?.[2] ?? 1) || (status === 0 ? 0 : 1);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
