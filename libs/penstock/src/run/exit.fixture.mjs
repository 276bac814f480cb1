// A program that uses a writer and ends in the way that its argument says, without ever closing the writer.
import { once } from 'node:events';
import { openWriter } from '../../dist/index.js';

const [, , way, directory] = process.argv;
const writer = await openWriter({ threads: 2, memoryBytes: 33_554_432 });

const ways = {
  forgets: async () => {
    await writer.writeFile(`${directory}/a`, 'written');
    const stream = writer.createWriteStream(`${directory}/b`);
    stream.end('streamed');
    await once(stream, 'close');
  },
  // Its threads were started and have had nothing to do.
  unused: () => {},
  unawaited: () => {
    void writer.writeFile(`${directory}/a`, Buffer.alloc(3_000_000, 1));
  },
  exits: () => {
    const source = { kind: 'pattern', pattern: 'zero' };
    const matrix = { rows: 1, rowBytes: 4096 }; // slow enough to be met on its way
    const onProgress = ({ bytesWritten }) => {
      if (bytesWritten > 0) process.exit(7);
    };
    void writer.writeFile(`${directory}/a`, source, { size: '1GiB', matrix, onProgress });
  },
  throws: async () => {
    const stream = writer.createWriteStream(`${directory}/a`);
    stream.write('x');
    await once(stream, 'ready');
    throw new Error('on purpose');
  },
};
await ways[way]();
