// A process that opens the embedded Redis, says so in one line of JSON, and closes it when its standard input ends.
// Arguments: the options of EmbeddedRedis.open as JSON.
import { EmbeddedRedis } from '../dist/index.js';

const redis = await EmbeddedRedis.open(JSON.parse(process.argv[2]));
process.stdout.write(`${JSON.stringify({ socketPath: redis.socketPath, started: redis.started })}\n`);

if (process.argv[3] !== 'leave') {
  process.stdin.resume();
  process.stdin.on('end', async () => {
    await redis.close();
    process.exit();
  });
}
