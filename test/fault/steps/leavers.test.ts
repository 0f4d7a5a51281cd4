import { killAtEachStep } from './matrix.js';
import { leavers } from './roles/leavers.js';

killAtEachStep(leavers);
