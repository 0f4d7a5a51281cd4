// A terminal that shows a text which changes. It has the terminal's other screen, as an editor has, so that what was on the
// terminal before is there again afterwards.

import { print } from './output.js';
import { cut, plain } from './table.js';

const [OTHER_SCREEN, FORMER_SCREEN, TOP, REST_OF_LINE, REST_OF_SCREEN] = ['[?1049h', '[?1049l', '[H', '[K', '[J'].map(
  (code) => `\u001b${code}`,
) as [string, string, string, string, string];

const ENDING = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

export class Screen {
  /** A terminal that obeys no codes has one text after another. */
  readonly #isPlain = process.env['TERM'] === 'dumb';
  readonly #hasColours = !this.#isPlain && (process.env['NO_COLOR'] ?? '') === '';
  #shown = '';

  constructor() {
    if (this.#isPlain) return;
    print(OTHER_SCREEN);
    process.on('exit', leave);
    for (const signal of ENDING) {
      process.once(signal, () => {
        leave();
        process.off('exit', leave);
        process.kill(process.pid, signal); // nobody listens to it now
      });
    }
    const stop = (): void => {
      leave();
      process.kill(process.pid, 'SIGSTOP'); // returns when somebody says SIGCONT
      print(OTHER_SCREEN);
      this.#shown = '';
    };
    process.on('SIGTSTP', stop);
  }

  /** Shows as much of a text as there is room for, unless it is shown already. The text is told of its room in a line. */
  show(textFor: (room: number) => string): void {
    const [columns, rows] = [process.stdout.columns || 80, process.stdout.rows || 24]; // 0 where that is not known
    const room = columns - 1; // a terminal whose last column is written to may be of two minds where it is
    const text = textFor(room);
    const whole = (this.#hasColours ? text : plain(text)).trimEnd().split('\n');
    const shown = this.#isPlain ? `${whole.join('\n')}\n\n` : fit(whole, room, rows).join(`${REST_OF_LINE}\n`);
    if (shown !== this.#shown) print(this.#isPlain ? shown : `${TOP}${shown}${REST_OF_SCREEN}`);
    this.#shown = shown;
  }
}

function leave(): void {
  print(FORMER_SCREEN);
}

function fit(lines: readonly string[], room: number, rows: number): string[] {
  const more = lines.length - rows;
  const shown = more <= 0 ? lines : [...lines.slice(0, rows - 1), `… and ${more + 1} lines more`];
  return shown.map((line) => cut(line, room));
}
