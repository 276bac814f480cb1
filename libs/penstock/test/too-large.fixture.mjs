// Destroys a log at the moment at which it is ready and was given a mebibyte; prints what it reports until it is closed.
import { openWriter } from '../dist/index.js';

const writer = await openWriter({ threads: 1, memoryBytes: 33_554_432 });
const log = writer.createWriteStream(process.argv[2], { flags: 'a' });
log.on('error', (error) => console.log(`error ${error.code}`));
log.on('close', () => {
  console.log('close');
  void writer.close();
});
log.once('ready', () => {
  log.write(Buffer.alloc(1_048_576));
  log.destroy();
});
