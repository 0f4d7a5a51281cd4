import { killAtEachStep } from './matrix.js';
import { cleaners } from './roles/cleaners.js';

killAtEachStep(cleaners);
