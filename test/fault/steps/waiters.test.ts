import { killAtEachStep } from './matrix.js';
import { waiters } from './roles/waiters.js';

killAtEachStep(waiters);
