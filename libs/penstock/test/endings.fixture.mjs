// A program that writes to a file through a stream and ends in the way that its arguments say, without ending the stream.
import { once } from 'node:events';
import { openWriter } from '../dist/index.js';

const [, , way, path, flags, byteCount] = process.argv;
const writer = await openWriter({ threads: 1, memoryBytes: 33_554_432 });
// Slow enough for whoever watches it to keep up.
const limit = way === 'writes' ? { bytesPerSecond: 419_430_400 } : undefined;
const stream = writer.createWriteStream(path, { flags, limit });
await once(stream, 'ready');
const words = new Uint32Array(Math.ceil(Number(byteCount) / 4));
for (let index = 0; index < words.length; index += 1) words[index] = Math.imul(index, 2_654_435_761);
const bytes = Buffer.from(words.buffer, 0, Number(byteCount));

const say = (text) => process.stdout.write(`${text}\n`);

/** Resolves once the stream has called back for all of it. */
async function accepted() {
  for (let at = 0; at < bytes.length; at += 65_537) {
    const piece = bytes.subarray(at, at + 65_537);
    await new Promise((resolve, reject) => {
      stream.write(piece, (error) => (error ? reject(error) : resolve()));
    });
  }
}

const ways = {
  exits: async () => {
    await accepted();
    process.exit(7);
  },
  throws: async () => {
    await accepted();
    throw new Error('on purpose');
  },
  // Goes on until it is killed.
  waits: async () => {
    await accepted();
    say('accepted');
    setInterval(() => {}, 1000);
  },
  // The same bytes again and again, until it is killed.
  writes: async () => {
    say('begun');
    for (;;) await accepted();
  },
};
await ways[way]();
