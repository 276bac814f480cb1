// Writes two lines to a log at the moment at which it is ready, while no row is there for them, and exits.
import { openWriter } from '../dist/index.js';

const writer = await openWriter({ threads: 1, memoryBytes: 33_554_432 });
const log = writer.createWriteStream(process.argv[2], { flags: 'a' });
log.write('first\n');
log.once('ready', () => {
  log.write('last words\n');
  process.exit(0);
});
