// `semlock completion`: what a shell is to know of the command. It is made of the options that the commands parse, so that
// it cannot lag behind them.

import { LS_OPTIONS } from './ls.js';
import { print } from './output.js';
import { PRUNE_OPTIONS } from './prune.js';
import { RUN_OPTIONS } from './run-arguments.js';
import { HELP, MIGRATE_OPTIONS, NAMESPACE_OPTIONS, parseArguments, UsageError } from './usage.js';

type Options = Record<string, { readonly type: 'string' | 'boolean'; readonly short?: string }>;

const HELP_OPTION: Options = { help: { type: 'boolean', short: 'h' } };

const COMMANDS: Record<string, Options> = {
  completion: HELP_OPTION,
  ls: LS_OPTIONS,
  migrate: MIGRATE_OPTIONS,
  namespace: NAMESPACE_OPTIONS,
  prune: PRUNE_OPTIONS,
  run: RUN_OPTIONS,
};

const SHELLS: Record<string, () => string> = { bash, zsh, fish };

/** Prints what the shell is to read at its start; gives the exit code. */
export function completion(args: string[]): number {
  const { values, positionals } = parseArguments({
    args,
    options: { help: { type: 'boolean', short: 'h' } },
    allowPositionals: true,
  });
  if (values.help === true) {
    print(HELP);
    return 0;
  }
  const [shell = '', ...rest] = positionals;
  const known = Object.keys(SHELLS);
  const script = known.includes(shell) && rest.length === 0 ? SHELLS[shell] : undefined;
  if (script === undefined) throw new UsageError(`completion: a shell is needed, one of ${known.join(', ')}`);
  print(script());
  return 0;
}

const words = (options: Options): string[] =>
  Object.entries(options).flatMap(([name, { short }]) => [...(short === undefined ? [] : [`-${short}`]), `--${name}`]);

/** Options that the next word belongs to. */
const withValue = (options: Options): string[] =>
  words(Object.fromEntries(Object.entries(options).filter(([, { type }]) => type === 'string')));

/** For each command in turn, a line. */
function each(line: (command: string, options: Options) => string): string {
  return Object.entries(COMMANDS)
    .map(([command, options]) => line(command, options))
    .join('\n');
}

function bash(): string {
  return `# In ~/.bashrc: source <(semlock completion bash)
_semlock() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} at options= values=
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${Object.keys(COMMANDS).join(' ')} --help --version" -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${each((command, options) => `    ${command}) options='${words(options).join(' ')}' values='${withValue(options).join(' ')}' ;;`)}
  esac
  if [[ \${COMP_WORDS[1]} == completion && $word != -* ]]; then
    COMPREPLY=($(compgen -W "${Object.keys(SHELLS).join(' ')}" -- "$word"))
    return
  fi
  if [[ \${COMP_WORDS[1]} == run ]]; then
    # What follows the name of the lock is a command, which is completed as without semlock.
    local named=
    for ((at = 2; at < COMP_CWORD; at++)); do
      case \${COMP_WORDS[at]} in
        --) named=$((at + 1)) && break ;;
        --file) named=file; ((at++)) ;;
        -*) [[ " $values " == *" \${COMP_WORDS[at]} "* ]] && ((at++)) ;;
        *)
          if [[ -n $named ]]; then named=$at && break; fi
          named=name
          ;;
      esac
    done
    if [[ $named == [0-9]* ]]; then
      _command_offset $named 2>/dev/null || COMPREPLY=($(compgen -f -- "$word"))
      return
    fi
    if [[ -n $named && $word != -* ]]; then
      COMPREPLY=($(compgen -c -- "$word"))
      return
    fi
  fi
  case $before in
    --file | --store) COMPREPLY=($(compgen -f -- "$word")) ;;
    *) [[ " $values " == *" $before "* ]] || COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
  esac
}
complete -F _semlock semlock
`;
}

function zsh(): string {
  const option = ([name, { type, short }]: [string, Options[string]]): string => {
    const value = type === 'string' ? `:${name}:${name === 'file' ? '_files' : ' '}` : '';
    return short === undefined ? `'--${name}${value}'` : `'(-${short} --${name})'{-${short},--${name}}'${value}'`;
  };
  const rest: Record<string, string> = {
    run: " ':name: ' '*::command:_normal'",
    completion: ` ':shell:(${Object.keys(SHELLS).join(' ')})'`,
  };
  return `#compdef semlock
# In a folder of fpath, as _semlock; or in ~/.zshrc, after compinit: source <(semlock completion zsh)
_semlock() {
  if ((CURRENT == 2)); then
    compadd -- ${Object.keys(COMMANDS).join(' ')} --help --version
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${each((command, options) => `    ${command}) _arguments -S ${Object.entries(options).map(option).join(' ')}${rest[command] ?? ''} ;;`)}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _semlock "$@"; else compdef _semlock semlock; fi
`;
}

function fish(): string {
  const names = Object.keys(COMMANDS).join(' ');
  const option = (command: string, name: string, { type, short }: Options[string]): string => {
    const letter = short === undefined ? '' : ` -s ${short}`;
    const value = type === 'boolean' ? '' : name === 'file' ? ' -rF' : ' -x';
    return `complete -c semlock -n '__fish_seen_subcommand_from ${command}'${letter} -l ${name}${value}`;
  };
  return `# In ~/.config/fish/completions/semlock.fish
complete -c semlock -f
complete -c semlock -n 'not __fish_seen_subcommand_from ${names}' -a '${names}'
complete -c semlock -n 'not __fish_seen_subcommand_from ${names}' -s h -l help
complete -c semlock -n 'not __fish_seen_subcommand_from ${names}' -l version
complete -c semlock -n '__fish_seen_subcommand_from completion' -a '${Object.keys(SHELLS).join(' ')}'
complete -c semlock -n '__fish_seen_subcommand_from run' -a '(__fish_complete_subcommand --fcs-skip=3)'
${each((command, options) =>
  Object.entries(options)
    .map(([name, rule]) => option(command, name, rule))
    .join('\n'),
)}
`;
}
