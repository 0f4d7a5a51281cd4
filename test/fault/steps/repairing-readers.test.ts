import { killAtEachStep } from './matrix.js';
import { repairingReaders } from './roles/readers.js';

killAtEachStep(repairingReaders);
