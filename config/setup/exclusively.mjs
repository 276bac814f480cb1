// One set-up at a time for one checkout.
import { statSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const listen = (server, address) =>
  new Promise((resolve, reject) => {
    server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    server.listen(address, () => resolve(true));
  });

// The connection is never answered: it ends when the one who listens, and all who inherited that, are gone.
const untilReleased = (address) =>
  new Promise((resolve) => {
    connect(address)
      .on('error', () => {})
      .on('close', resolve);
  });

/**
 * Calls `work(lock)` while nobody else does for this folder, and `waiting()` when it has to wait for that.
 *
 * The lock is an abstract socket named by the folder's inode: the kernel frees it whatever kills the holder, so no stale
 * lock can be left, and waiting needs no polling. A child process that inherits `lock.fd` holds it as well.
 *
 * @param {string} folder
 * @param {(lock: { fd: number }) => Promise<void>} work
 * @param {() => void} waiting
 */
export async function exclusively(folder, work, waiting) {
  const { dev, ino } = statSync(folder);
  const address = `\0penstock-setup-${dev}-${ino}`;
  for (;;) {
    const peers = new Set();
    const server = createServer((peer) => peers.add(peer.on('error', () => {})));
    if (await listen(server, address)) {
      try {
        // oxlint-disable-next-line no-underscore-dangle -- a listening socket has no other way to its descriptor
        return await work({ fd: server._handle.fd });
      } finally {
        server.close();
        for (const peer of peers) peer.destroy();
      }
    }
    waiting();
    await untilReleased(address);
  }
}
