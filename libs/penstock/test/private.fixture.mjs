// Begins a write in the way of its argument and says when bytes of it are in its file; its parent kills it then.
import { openWriter } from '../dist/index.js';

const [, , way, directory] = process.argv;
const writer = await openWriter({ threads: 1, memoryBytes: 33_554_432 });
const limit = { bytesPerSecond: 4_194_304 };
const onProgress = ({ bytesWritten }) => {
  if (bytesWritten > 0) process.stdout.write('writing\n');
};

const ways = {
  write: () =>
    writer.writeFile(`${directory}/a`, { kind: 'pattern', pattern: 'zero' }, { size: '1GiB', limit, onProgress }),
  copy: () => writer.copyFile(`${directory}/source`, `${directory}/a`, { limit, onProgress }),
  stream: () => {
    const stream = writer.createWriteStream(`${directory}/a`, { limit, onProgress });
    stream.write(Buffer.alloc(33_554_432, 1));
  },
  'stream of a new file': () => {
    const stream = writer.createWriteStream(`${directory}/new`, { mode: 0o640, limit, onProgress });
    stream.write(Buffer.alloc(33_554_432, 1));
  },
};
ways[way]();
