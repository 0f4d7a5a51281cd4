import { killAtEachStep } from './matrix.js';
import { holders } from './roles/holders.js';

killAtEachStep(holders);
