// Begins and ends as a host of the name "disk-1" again and again: node records.fixture.mjs <data directory> <how often>.
import { PartRecordFiles } from '../../dist/left-parts/records.js';

const [directory, rounds] = process.argv.slice(2);
for (let round = 0; round < Number(rounds); round += 1) new PartRecordFiles(directory, 'disk-1').close(() => true);
