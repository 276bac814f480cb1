// A process that opens the embedded Redis, prints so in one line of JSON, and closes it when its standard input ends.
// Arguments: the options of EmbeddedRedis.open as JSON; leave or stay; the user to become.
import { EmbeddedRedis } from '../dist/index.js';

// Only now that all modules are loaded: the user need not be able to reach this checkout, as in root's home.
if (process.argv[4] !== undefined && process.getuid() === 0) {
  const id = Number(process.argv[4]);
  process.chdir('/');
  process.setgroups([]);
  process.setgid(id);
  process.setuid(id);
}

const redis = await EmbeddedRedis.open(JSON.parse(process.argv[2]));
process.stdout.write(`${JSON.stringify({ socketPath: redis.socketPath, started: redis.started })}\n`);

if (process.argv[3] !== 'leave') {
  process.stdin.resume();
  process.stdin.on('end', async () => {
    await redis.close();
    process.exit();
  });
}
