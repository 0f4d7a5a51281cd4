// All questions, in the order in which they are asked.

import { uncontended } from './uncontended.mjs';

export const questions = [uncontended];
