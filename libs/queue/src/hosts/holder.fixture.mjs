// A host without disks: takes the name of the second argument at the Redis behind the socket of the first, and serves.
import { WriteWorker } from '../../dist/index.js';

const [socketPath, host] = process.argv.slice(2);
const worker = new WriteWorker({
  connection: { socketPath },
  concurrency: 1,
  host,
  queue: 'own',
  perform: () => Promise.reject(new Error('it writes nothing')),
  onError: (error) => console.error(error.message),
});
await worker.ready();
process.once('SIGTERM', () => void worker.drain('shutdown'));
console.log('ready');
