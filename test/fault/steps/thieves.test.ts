import { killAtEachStep } from './matrix.js';
import { thieves } from './roles/thieves.js';

killAtEachStep(thieves);
