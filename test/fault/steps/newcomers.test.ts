import { killAtEachStep } from './matrix.js';
import { newcomers } from './roles/newcomers.js';

killAtEachStep(newcomers);
