// `semlock run` stands in front of many small commands, so it must not take much longer to start than Node.js itself.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';
import { SEMLOCK } from './semlock.js';

/** Times what Node.js alone takes, which is some 30 ms on a machine of today: so this is hardly more than 60 ms. */
const MOST = 2.1;
const HAS_STRACE = runProgram('strace', ['-V']).status === 0;
/** The other one says what kind of module it is. */
const FILES = new Set(['package.json', 'command.js']);
const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url));

describe('the start of semlock', () => {
  it('takes a small multiple of that of Node.js', { timeout: 120_000 }, () => {
    const namespace = scratchNamespace();
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: '' }; // which Node.js would read at its start
    // Of the processor, because what else the machine does is not the command's.
    const time = (...command: string[]) => {
      const { status, stderr } = runProgram('bash', ['-c', 'TIMEFORMAT="%U %S"; time "$@"', 'bash', ...command], {
        env,
      });
      expect(status).toBe(0);
      const [user, system] = stderr.trim().split(' ').map(Number) as [number, number];
      return user + system;
    };
    // Each beside the other, and the middle one of many: a busy machine adds to some of them, and to which is chance.
    const ratios: number[] = [];
    const middle = () => ratios.sort((a, b) => a - b)[ratios.length >> 1]!;
    do {
      const alone = time(process.execPath, '--eval', '0');
      ratios.push(time(SEMLOCK, 'run', '--namespace', namespace, 'report', 'true') / alone);
    } while (ratios.length < 7 || (middle() >= MOST && ratios.length < 49));
    expect(middle()).toBeLessThan(MOST);
  });

  it('loads no part of Node.js that is slow to load and that it can do without', () => {
    const list = `process.on('exit', () => console.error(JSON.stringify(process.moduleLoadList)))`;
    const loaded = (...args: string[]) => {
      const { stderr } = runProgram(process.execPath, ['--import', `data:text/javascript,${list}`, ...args]);
      return JSON.parse(stderr) as string[];
    };
    const alone = new Set(loaded('--eval', '0'));
    const more = loaded(`${DIST}command.js`, 'run', '--namespace', 'test of start', 'report', 'true');
    const added = more.filter((each) => !alone.has(each)).map((each) => each.split(' ')[1]);
    expect(added).toContain('child_process');
    expect(
      added.filter((each) => /^(perf_hooks|worker_threads|tty|_?http\w*|tls|readline|url|zlib)$/.test(each!)),
    ).toEqual([]);
  });

  // In a /dev/shm of its own: what else is in there might hide a lock table without a name, and only the kernel knows then.
  it.runIf(HAS_STRACE && process.geteuid!() === 0).each([
    ['does not ask the kernel for all locks, which takes it 10 ms', '', 0],
    ['asks for them where much memory is in use in /dev/shm', 'head -c 200000 /dev/zero >/dev/shm/much', 1],
  ])('%s', (_, before, reads) => {
    const script = `mount -t tmpfs -o mode=1777 tmpfs /dev/shm; ${before}
      strace -f -e trace=openat "$0" run --namespace test report true`;
    const { stderr } = runProgram('unshare', ['--mount', 'sh', '-c', script, SEMLOCK]);
    expect(stderr).toContain('"/dev/shm/semlock-0"');
    // Twice where it tells them in more than one piece, because others have many.
    const looks = stderr.match(/"\/proc\/locks"/g)?.length ?? 0;
    expect([reads, 2 * reads]).toContain(looks);
  });

  it.runIf(HAS_STRACE)('starts no process but Node.js and the command', () => {
    const { stderr } = runProgram('strace', [
      '-f',
      '-e',
      'trace=execve',
      SEMLOCK,
      'run',
      '--namespace',
      'test of start',
      'report',
      'true',
    ]);
    const programs = stderr.match(/(?<=execve\(")[^"]*(?=".*= 0$)/gm)?.map((path) => path.split('/').at(-1));
    expect(programs).toEqual(['semlock.cjs', 'sh', 'node', 'true']);
  });

  it.runIf(HAS_STRACE)('loads one file, and the addon where that is needed', () => {
    const opened = (...args: string[]) => {
      const { stderr } = runProgram('strace', ['-f', '-e', 'trace=openat,open', SEMLOCK, ...args]);
      return new Set(
        stderr.match(RegExp(`(?<=")${DIST}[^"]*(?="[^=]*= [0-9])`, 'g'))?.map((file) => file.slice(DIST.length)),
      );
    };
    expect(opened('run', '--namespace', 'test of start', 'report', 'true')).toEqual(FILES);
    expect(opened('--help')).toEqual(FILES);
    expect(opened('ls', '--namespace', 'test of start')).toEqual(new Set([...FILES, 'command-rest.js']));
  });

  it.each([
    ['run', ['run', '--namespace', 'test of start', 'report', 'true']],
    ['ls', ['ls', '--namespace', 'test of start']],
    ['help', ['--help']],
  ])('loads nothing of what servers need: %s', (_, args) => {
    const loaded = modulesCalled(args);
    expect(loaded).toContain('cli/main.js');
    expect(
      loaded.filter((file) => /^(http|web-locks|decorators|tus|conformance|stores\/(?!process)|index\.js)/.test(file)),
    ).toEqual([]);
    if (args[0] === '--help') expect(loaded.filter((file) => /^(native|addon|stores)/.test(file))).toEqual([]);
  });
});

/** Each module of the command is a function that has the name of its file, so V8 counts its calls. */
function modulesCalled(args: string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'semlock-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  runProgram(process.execPath, [`${DIST}command.js`, ...args], { env: { ...process.env, NODE_V8_COVERAGE: folder } });
  const [file] = readdirSync(folder);
  const { result } = JSON.parse(readFileSync(join(folder, file!), 'utf8')) as { result: Coverage[] };
  return result
    .filter(({ url }) => /\/command(-rest)?\.js$/.test(url))
    .flatMap(({ functions }) => functions)
    .filter(({ functionName, ranges }) => functionName.endsWith('.js') && ranges[0]!.count > 0)
    .map(({ functionName }) => functionName);
}

interface Coverage {
  readonly url: string;
  readonly functions: readonly {
    readonly functionName: string;
    readonly ranges: readonly { readonly count: number }[];
  }[];
}
