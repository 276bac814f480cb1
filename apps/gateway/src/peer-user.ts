/**
 * Which local user a connection comes from, by the kernel's own account.
 *
 * Browsers send a cookie to every port of a host: a program of another user that listens on this machine gets the
 * dashboard's as soon as a browser is led to its page. So a session is good for one user's connections alone.
 */
import { readFile } from 'node:fs/promises';
import { isIPv6, type Socket } from 'node:net';

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
/** The table is read in pieces while it changes: an entry can be passed over. */
const LOOKS_MAX = 3;

const users = new WeakMap<Socket, Promise<number | null>>();

/** The user who owns the other end; null if the kernel shows none here, as for a container's. One look per connection. */
export function userOf(socket: Socket): Promise<number | null> {
  const known = users.get(socket);
  if (known !== undefined) return known;
  const found = lookUp(socket);
  users.set(socket, found);
  return found;
}

async function lookUp({ remoteAddress, remotePort, localAddress, localPort }: Socket): Promise<number | null> {
  if (remoteAddress === undefined || localAddress === undefined) return null; // it has gone
  const pairs = [
    [entry(remoteAddress, remotePort!), entry(localAddress, localPort!)],
    [entry(mapped(remoteAddress), remotePort!), entry(mapped(localAddress), localPort!)],
  ].map((pair) => pair.join(' '));
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    for (const table of TABLES) {
      // The second only if the first does not have it.
      const text = await readFile(table, 'latin1').catch(() => ''); // no IPv6 on this machine, or no /proc
      const user = userIn(text, pairs);
      if (user !== null) return user;
    }
  }
  return null;
}

const ESTABLISHED = '01';

/**
 * Who owns the socket with one of `pairs` as its addresses, in a table of the kernel's. Only while it is connected: one
 * that was closed is shown as root's, and a client that sends an order and hangs up must not pass for root.
 */
export function userIn(table: string, pairs: readonly string[]): number | null {
  for (const pair of pairs) {
    const at = table.indexOf(` ${pair} ${ESTABLISHED} `);
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid …
    if (at !== -1)
      return Number(
        table
          .slice(at, at + 512)
          .trim()
          .split(/\s+/, 7)[6],
      );
  }
  return null;
}

/** An IPv4 address as a socket of IPv6 has it. */
const mapped = (address: string): string => (isIPv6(address) ? address : `::ffff:${address}`);

/** "0100007F:116C": as the tables write address and port, each word of the address in the machine's byte order. */
export function entry(address: string, port: number): string {
  const bytes = isIPv6(address) ? bytesOfIPv6(address) : address.split('.').map(Number);
  let text = '';
  for (let word = 0; word < bytes.length; word += 4) {
    for (const byte of bytes.slice(word, word + 4).toReversed()) text += byte.toString(16).padStart(2, '0');
  }
  return `${text}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

function bytesOfIPv6(address: string): number[] {
  // Spelled by the URL parser in one way: no IPv4 at its end, no zone.
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, '')}]`);
  const [head = '', tail] = hostname.slice(1, -1).split('::');
  const words = (text: string | undefined): number[] =>
    text === undefined || text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16));
  const [first, last] = [words(head), words(tail)];
  const all = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => 0), ...last];
  return all.flatMap((word) => [word >> 8, word & 0xff]);
}
