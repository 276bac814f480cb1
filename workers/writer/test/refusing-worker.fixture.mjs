// A writer thread that comes up unless the process says by now that none does.
import { getEnvironmentData } from 'node:worker_threads';

if (getEnvironmentData('refuses') === true) throw new Error('no such library');
const { default: serve } = await import('../dist/thread/worker.js');
export default serve;
