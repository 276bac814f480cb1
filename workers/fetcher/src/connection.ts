/**
 * Connections: made to addresses that were judged, and read no further while there is no room.
 *
 * undici's own way to wait, to pause its parser, cannot be used: if the server ends the connection while the parser is
 * paused, undici 7 throws an assertion that cannot be caught (nodejs/undici#5360, fixed in 8, which requires a newer
 * Node). So the parser is never paused: the socket seems to have nothing to read.
 */
import type { Socket } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressPolicy } from './addresses.ts';

/** Gives up a connection attempt later than any fetch would wait: each has its own clock. */
const CONNECT_TIMEOUT_MS = 3_600_000;

/** Stands between a socket and its reader, which finds nothing to read while the gate is closed. */
export class Gate {
  /** What ended the connection, if it was no orderly end: undici takes a reset for the end of an answer without a length. */
  brokenBy: Error | null = null;
  #socket: Socket | null = null;
  #closed = false;

  attach(socket: Socket): void {
    this.#socket = socket;
    // Before undici listens: it may report the end of the answer when it gets the error.
    socket.once('error', (error) => {
      this.brokenBy = error;
    });
    const read = socket.read.bind(socket);
    // What is not read stays in the socket's buffer and then in the kernel's; the end is not reported before it is read either.
    socket.read = (size?: number): unknown => (this.#closed ? null : read(size));
  }

  close(): void {
    this.#closed = true;
  }

  open(): void {
    this.#closed = false;
    this.#socket?.emit('readable');
  }
}

/** Connects as `policy` allows, and lets `gate` stand before what is read. */
export function gatedConnector(policy: AddressPolicy, ca: string | undefined, gate: Gate): buildConnector.connector {
  const connect = buildConnector({
    lookup: policy.lookup,
    timeout: CONNECT_TIMEOUT_MS,
    rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED is
    ...(ca === undefined ? {} : { ca }),
  });
  return (options, callback) => {
    connect(options, (...outcome) => {
      const [error, socket] = outcome;
      if (error === null && socket !== null) gate.attach(socket);
      callback(...outcome);
    });
  };
}
