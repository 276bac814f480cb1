// Has a file cut as the thread that frees does it, and prints what that came to.
import { FreeingTable } from '@penstock/matrix';
import { native } from '@penstock/native';
import { freeNext } from '@penstock/sink';

const table = new FreeingTable(1);
const fd = native.memfdCreate('cut');
const slot = table.order(0, { fd, device: 1, bytes: 1, end: 0 }, () => false);
const found = freeNext(table);
console.log(JSON.stringify({ found, result: table.resultOf(slot), isClosed: native.close(fd) < 0 }));
