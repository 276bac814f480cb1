// A producer that dies between the admission of a job and its add: admits, says so, and hangs until it is killed.
import { Queue } from 'bullmq';
import { CapacityScripts } from '../dist/capacity/scripts.js';

const [, , socketPath, bytes] = process.argv;
const queue = new Queue('penstock', { connection: { path: socketPath } });
const scripts = new CapacityScripts(await queue.getBackend().client, 'bull', (part) => queue.toKey(part));
const { outcome } = await scripts.admit([{ field: 'penstock:never-added', bytes: Number(bytes) }]);
process.stdout.write(`${outcome}\n`);
