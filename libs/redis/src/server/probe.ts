/**
 * Asks whatever listens on the socket whether it is a Redis that is ready. It speaks the protocol by hand, because a
 * client library answers with its own retries, a second late while the server loads.
 */
import { connect, type Socket } from 'node:net';

/** A healthy server answers PING in well under a millisecond; a busy one in some tens. */
export const PROBE_MS_MAX = 1000;

export type Probe =
  /** It answered PING; the connection is handed over. */
  | { state: 'ready'; link: Socket }
  /** It reads its append-only file. */
  | { state: 'loading' }
  /** Nothing listens: there is no socket, or it was left by a server that died. */
  | { state: 'absent' }
  /** Something listens and does not answer, or closed the connection before it answered. */
  | { state: 'silent' }
  /** Something answered, but not as our server would, or the socket may not be used. */
  | { state: 'foreign'; reply: string };

const ABSENT_CODES = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTDIR']);
const HANG_UP_CODES = new Set(['ECONNRESET', 'EPIPE', 'EAGAIN']);

/** Connects and sends PING. Never rejects; takes at most `timeoutMs`. */
export function probe(socketPath: string, timeoutMs: number): Promise<Probe> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let received = '';
    const end = (found: Probe): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      // The link's owner adds its own; until then, and on a socket that is given up, an error must not be thrown.
      socket.on('error', () => {});
      if (found.state !== 'ready') socket.destroy();
      resolve(found);
    };
    const timer = setTimeout(() => end({ state: 'silent' }), timeoutMs);
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (text: string) => {
      received += text;
      if (received.includes('\n')) end(understand(received.trimEnd(), socket));
    });
    socket.on('close', () => end({ state: 'silent' }));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? '';
      if (ABSENT_CODES.has(code)) end({ state: 'absent' });
      else if (HANG_UP_CODES.has(code)) end({ state: 'silent' });
      else end({ state: 'foreign', reply: error.message });
    });
  });
}

function understand(reply: string, link: Socket): Probe {
  if (reply === '+PONG') return { state: 'ready', link };
  if (reply.startsWith('-LOADING') || reply.startsWith('-BUSY')) return { state: 'loading' };
  return { state: 'foreign', reply: reply.slice(0, 200) };
}
