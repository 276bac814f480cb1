// A process under a file size limit: one write across the limit, one at it. Prints their results and the limit as JSON.
// Node ignores SIGXFSZ, so the kernel's answer is all there is. Arguments: the file, the port, and the file of libaio.
import { readFileSync } from 'node:fs';
import { AioEngine, libaioPort, positionalPort, syscallPort } from '@penstock/aio';
import { native } from '@penstock/native';
import { Arena, createArenaMemory } from '@penstock/matrix';

const [file, name, libaioFile] = process.argv.slice(2);
const port = {
  libaio: () => libaioPort(libaioFile) ?? libaioPort(),
  syscalls: () => syscallPort(),
  positional: () => positionalPort,
}[name]();

const limit = Number(/^Max file size\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))[1]);
const arena = new Arena(createArenaMemory(2 * limit));
arena.bytes.fill(0x5a);
let fd = native.openat(native.AT_FDCWD, file, native.O_RDWR | native.O_CREAT | native.O_DIRECT, 0o600);
if (fd < 0) fd = native.openat(native.AT_FDCWD, file, native.O_RDWR | native.O_CREAT, 0o600);

const engine = new AioEngine(port, 1);
const slot = engine.acquireSlot();
function write(offset) {
  engine.prepWrite(slot, fd, arena.address, 2 * limit, offset);
  engine.submit();
  while (engine.reap(1000) === 0);
  return { result: engine.slotResult[slot], refused: engine.slotRefused[slot] };
}
const across = write(0);
const at = write(limit);
engine.destroy();
native.close(fd);
process.stdout.write(JSON.stringify({ limit, across, at }));
