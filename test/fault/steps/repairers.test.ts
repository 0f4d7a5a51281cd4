import { killAtEachStep } from './matrix.js';
import { repairers } from './roles/repairers.js';

killAtEachStep(repairers);
