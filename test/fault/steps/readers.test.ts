import { killAtEachStep } from './matrix.js';
import { readers } from './roles/readers.js';

killAtEachStep(readers);
