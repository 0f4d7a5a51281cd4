import { killAtEachPairOfSteps } from './matrix.js';
import { repairers } from './roles/repairers.js';

killAtEachPairOfSteps(repairers);
