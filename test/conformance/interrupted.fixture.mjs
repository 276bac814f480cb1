// A process that waits ten seconds for an event that never comes, says when it begins and how the wait ended.
// Arguments: the port, and the file of libaio.
import { writeSync } from 'node:fs';
import { libaioPort, syscallPort } from '@penstock/aio';

const [name, libaioFile] = process.argv.slice(2);
const port = name === 'libaio' ? (libaioPort(libaioFile) ?? libaioPort()) : syscallPort();
const context = port.setup(1);
const events = new Int32Array(new ArrayBuffer(32));
// Once before: the first call of a function loads code, and must not be taken for the wait.
port.getevents(context, 0, 1, events, 0);
writeSync(1, 'waiting\n');
const result = port.getevents(context, 1, 1, events, 10_000);
port.destroy(context);
writeSync(1, `${result}\n`);
