// Shells complete what the command has.

import { describe, expect, it } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { semlock } from './semlock.js';

const scriptOf = (shell: string) => semlock(['completion', shell]).stdout;
const has = (program: string) => runProgram('sh', ['-c', `command -v ${program}`]).status === 0;

/** What bash offers for the last word. */
function offered(...words: string[]): string[] {
  const script = `${scriptOf('bash')}
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _semlock
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = runProgram('bash', ['-c', script, 'bash', ...words]);
  expect(stderr).toBe('');
  return stdout.split('\n').filter((each) => each !== '');
}

describe('the completion of bash', () => {
  it('offers the commands, and the options of each', () => {
    expect(offered('semlock', '')).toEqual([
      'completion',
      'ls',
      'migrate',
      'namespace',
      'prune',
      'run',
      '--help',
      '--version',
    ]);
    expect(offered('semlock', 'ls', '--p')).toEqual(['--posix-name']);
    expect(offered('semlock', 'prune', '--')).toEqual(['--all', '--json', '--user', '--group', '--help']);
    expect(offered('semlock', 'migrate', '--')).toEqual(['--store', '--schema', '--help']);
    expect(offered('semlock', 'completion', '')).toEqual(['bash', 'zsh', 'fish']);
  });

  it('offers options of run until there is a name, and then commands', () => {
    expect(offered('semlock', 'run', '--wa')).toEqual(['--wait']);
    expect(offered('semlock', 'run', '--wait', '5', '--shar')).toEqual(['--shared']);
    expect(offered('semlock', 'run', '--wait', '5', 'report', 'printen')).toContain('printenv');
    expect(offered('semlock', 'run', '--file', '/tmp/x', 'printen')).toContain('printenv');
  });

  it('offers nothing for the value of an option that it cannot know', () => {
    expect(offered('semlock', 'run', '--wait', '')).toEqual([]);
  });
});

describe.each(['bash', 'zsh', 'fish'])('the completion of %s', (shell) => {
  it('has every option that the help has', () => {
    const options = new Set(semlock(['--help']).stdout.match(/(?<![\w-])--[a-z][\w-]*/g));
    const script = scriptOf(shell);
    const known = (option: string) => script.includes(option) || script.includes(` -l ${option.slice(2)}`);
    expect([...options].filter((option) => option !== '--version' && !known(option))).toEqual([]);
  });

  it.runIf(has(shell))('is a script that it reads', () => {
    expect(runProgram(shell, ['-n', '-c', scriptOf(shell)])).toMatchObject({ status: 0, stderr: '' });
  });
});

it('of another shell is none', () => {
  expect(semlock(['completion', 'csh'])).toMatchObject({
    status: 64,
    stdout: '',
    stderr: expect.stringContaining('a shell is needed, one of bash, zsh, fish'),
  });
});
