import { killAtEachPairOfSteps } from './matrix.js';
import { repairingReaders } from './roles/readers.js';

killAtEachPairOfSteps(repairingReaders);
