// Carries out the request of its last argument as another user, in a root that its parent has made.
import { dirname } from 'node:path';
import { openBench } from '../../dist/thread/thread.fixture.js';

const [, , user, groups, directory, request] = process.argv;
const bench = openBench({ directory });
await bench.write({ path: '.warm', size: 1 }); // all that is loaded on first use is loaded
const ids = groups.split(',').map(Number);
process.setgroups(ids);
process.setgid(ids[0]);
process.setuid(Number(user));
const result = await bench.write(JSON.parse(request));
// What it made as root is its parent's to remove.
process.stdout.write(JSON.stringify({ notKept: result.notKept ?? [], home: dirname(bench.archive) }));
process.exit(0);
