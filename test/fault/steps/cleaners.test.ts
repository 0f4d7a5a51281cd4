import { killAtEachPairOfSteps } from './matrix.js';
import { cleaners } from './roles/cleaners.js';

killAtEachPairOfSteps(cleaners);
