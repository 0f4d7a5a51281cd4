// All questions, in the order in which they are asked.

import { contended } from './contended.mjs';
import { handOver } from './hand-over.mjs';
import { http } from './http.mjs';
import { httpCpu } from './http-cpu.mjs';
import { recovery } from './recovery.mjs';
import { remote } from './remote.mjs';
import { scale } from './scale.mjs';
import { uncontended } from './uncontended.mjs';

export const questions = [uncontended, contended, handOver, recovery, http, httpCpu, scale, remote];
