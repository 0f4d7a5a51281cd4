// The manual page says what --help says.

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { semlock } from './semlock.js';

const root = new URL('../../../', import.meta.url).pathname;
const { man, files } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { man: string; files: string[] };
const page = readFileSync(`${root}${man}`, 'utf8').replaceAll('\\-', '-');
const help = semlock(['--help']).stdout;

/** Options, exit codes and variables of the environment that a text speaks of. */
const subjects = (text: string) => ({
  options: new Set(text.match(/(?<![\w-])--[a-z][\w-]*/g)),
  letters: new Set(text.match(/(?<![\w-])-[A-Za-z](?![\w-])/g)),
  codes: new Set(text.match(/\b(64|69|75|126|127)\b/g)),
  commands: new Set(text.match(/semlock (run|ls|prune|namespace|completion|migrate)\b/g)),
});

describe('the manual page', () => {
  it('has all options, exit codes and commands of --help, and no others', () => {
    expect(subjects(page.replaceAll(/\\f[BIR]/g, ''))).toEqual(subjects(help));
  });

  it('is in the package', () => {
    expect(files).toContain(man.replace('./', '').split('/')[0]);
  });

  it.runIf(runProgram('man', ['--version']).status === 0)('is one that man(1) prints without a warning', () => {
    const { status, stdout, stderr } = runProgram('man', ['--warnings', '--local-file', man], {
      cwd: root,
      env: { ...process.env, MANWIDTH: '80', MAN_KEEP_FORMATTING: '', LC_ALL: 'C' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('--conflict-exit-code N');
  });
});
