// `semlock run` stands in front of many small commands, so it must not take much longer to start than Node.js itself.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';
import { SEMLOCK } from './semlock.js';

const ROUNDS = 9;
/** Times what Node.js alone takes. */
const MOST = 2.8;
/** The other one says what kind of module it is. */
const FILES = new Set(['package.json', 'command.js']);
const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url));

describe('the start of semlock', () => {
  it('takes a small multiple of that of Node.js', { timeout: 120_000 }, () => {
    const namespace = scratchNamespace();
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: '' };
    // Of the processor, because what else the machine does is not the command's.
    const time = (...command: string[]) => {
      const { status, stderr } = runProgram('bash', ['-c', 'TIMEFORMAT="%U %S"; time "$@"', 'bash', ...command], {
        env,
      });
      expect(status).toBe(0);
      const [user, system] = stderr.trim().split(' ').map(Number) as [number, number];
      return user + system;
    };
    const [alone, running] = [[] as number[], [] as number[]];
    for (let round = 0; round < ROUNDS; round += 1) {
      alone.push(time(process.execPath, '--eval', '0'));
      running.push(time(SEMLOCK, 'run', '--namespace', namespace, 'report', 'true'));
    }
    expect(Math.min(...running) / Math.min(...alone)).toBeLessThan(MOST);
  });

  it.runIf(runProgram('strace', ['-V']).status === 0)('loads one file, and the addon where that is needed', () => {
    const opened = (...args: string[]) => {
      const { stderr } = runProgram('strace', ['-f', '-e', 'trace=openat,open', SEMLOCK, ...args]);
      return new Set(
        stderr.match(RegExp(`(?<=")${DIST}[^"]*(?="[^=]*= [0-9])`, 'g'))?.map((file) => file.slice(DIST.length)),
      );
    };
    expect(opened('run', '--namespace', 'test of start', 'report', 'true')).toEqual(FILES);
    expect(opened('--help')).toEqual(FILES);
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
  const { functions } = result.find(({ url }) => url.endsWith('/command.js'))!;
  return functions
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
