/**
 * What listens at an address where no Redis could be reached: a web server, or TLS on one side alone. The client's own
 * error only reports a broken connection, or no answer, and which of the two depends on chance.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { within } from './deadline.ts';
import type { Reason } from './refusals.ts';

const ANSWER_MS_MAX = 1000;
const ENOUGH_BYTES = 5;

/**
 * Why it could not be reached; null if that remains unknown. `tls`: whether we spoke TLS to it. Takes two seconds at
 * most.
 */
export async function whoAnswers(host: string, port: number, tls: boolean): Promise<Reason | null> {
  const word = await firstWord(host, port);
  if (word.startsWith('HTTP/')) {
    return { code: 'EPROTO', why: 'a web server answers there, no Redis', hint: 'Correct the address.' };
  }
  if (tls && /^[+-]/.test(word)) {
    return { code: 'EPROTO', why: 'it does not speak TLS', hint: 'Write redis:// in its address.' };
  }
  if (!tls && !/^[+-]/.test(word) && (await speaksTls(host, port))) {
    return { code: 'EPROTO', why: 'it speaks TLS', hint: 'Write rediss:// in its address.' };
  }
  return null;
}

/** The first bytes that come after a PING, as Latin-1; empty if none do. */
async function firstWord(host: string, port: number): Promise<string> {
  let word = '';
  await watch(connect({ host, port }), (socket, end) => {
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (text: string) => {
      word += text;
      if (word.length >= ENOUGH_BYTES) end();
    });
  });
  return word;
}

async function speaksTls(host: string, port: number): Promise<boolean> {
  let speaks = false;
  // Nothing is sent, and whose certificate it is does not matter here.
  await watch(connectTls({ host, port, rejectUnauthorized: false }), (socket, end) => {
    socket.on('secureConnect', () => {
      speaks = true;
      end();
    });
  });
  return speaks;
}

/** Resolves when `listen` calls `end`, the socket ends or the time is over; the socket is gone then. */
async function watch(socket: Socket, listen: (socket: Socket, end: () => void) => void): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    listen(socket, resolve);
  });
  await within(ANSWER_MS_MAX, ended);
  socket.destroy();
}
