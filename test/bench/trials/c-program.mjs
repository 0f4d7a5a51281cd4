// A side that is a program in C.

import { runProgram } from '../harness/c-program.mjs';
import { inTrial } from '../harness/in-trial.mjs';

await inTrial(({ program, args }) => runProgram(program, ...args));
