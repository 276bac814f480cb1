/** What a fetch fails with, in the words of the other errors: call, code, url, how far it came, and what to do about it. */
import { escapeControls, isRetryable, textOfCode } from '@penstock/contract';

export interface FetchErrorDetails {
  /** An errno name, 'EHTTP' for an answer that is none of use, or OpenSSL's name of what is wrong with a certificate. */
  code: string;
  url: string;
  /** What happened; default: the text of the code. */
  what?: string;
  /** Bytes of the file that had come. */
  offset?: number;
  hint?: string;
  /** Default: as the code has it. */
  retryable?: boolean;
  cause?: unknown;
}

/** A GET that did not bring its bytes. Its fields are what crosses threads and the queue (toWire). */
export class FetchError extends Error {
  static {
    Object.defineProperty(this.prototype, 'name', { value: 'FetchError', configurable: true, writable: true });
  }

  readonly code: string;
  readonly syscall = 'GET';
  /** The url. */
  readonly path: string;
  readonly offset: number | undefined;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor({ code, url, what, offset, hint, retryable, cause }: FetchErrorDetails) {
    // What happened may be in the server's own words.
    let message = `${code}: ${escapeControls(what ?? textOfCode(code))}, GET '${escapeControls(url)}'`;
    if (offset !== undefined) message += ` at ${offset}`;
    super(hint === undefined ? message : `${message}. ${hint}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.path = url;
    this.offset = offset;
    this.hint = hint;
    this.retryable = retryable ?? isRetryable(code);
  }
}

/** What passes by itself: an answer still in the making, a timeout, a server that is not ready yet, too many requests. */
const PASSING: ReadonlySet<number> = new Set([202, 408, 425, 429]);

/** The answer has a status that brings no content. */
export function statusError(url: string, status: number, statusText: string): FetchError {
  const retryable = status >= 500 || PASSING.has(status);
  const hint = retryable
    ? 'The server may answer otherwise later: it is tried again while attempts are left.'
    : 'The server will answer the same again: check the url, and whether it wants a login, which a url cannot carry.';
  return new FetchError({
    code: 'EHTTP',
    url,
    what: `the server answered ${status} ${statusText}`.trimEnd(),
    hint,
    retryable,
  });
}

const DESCRIPTORS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);
const NO_DESCRIPTOR =
  'The host has as many files and connections open as it may: raise `ulimit -n` (LimitNOFILE=), or lower --jobs.';

const CERTIFICATE = /CERT|^ERR_TLS|^ERR_SSL|SIGNATURE|UNABLE_TO_/;

/** The error of undici, the socket, the resolver or TLS, as a FetchError. */
export function transportError(error: unknown, url: string, offset: number): FetchError {
  const { code = 'EUNKNOWN', message = '', name = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  const place = { url, offset, cause: error };
  if (code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new FetchError({ ...place, code: 'ETIMEDOUT', what: 'no connection came about' });
  }
  if (
    code === 'UND_ERR_SOCKET' ||
    code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH' ||
    /Invalid EOF state/.test(message)
  ) {
    const what = 'the server ended the connection before it had sent all';
    return new FetchError({ ...place, code: 'ECONNRESET', what });
  }
  if (CERTIFICATE.test(code)) {
    const hint =
      'Certificates are always verified: let the server have a valid one, or name its authority to the host (NODE_EXTRA_CA_CERTS).';
    return new FetchError({ ...place, code, what: message, hint, retryable: false });
  }
  if (name === 'HTTPParserError' || code.startsWith('UND_ERR_')) {
    return new FetchError({ ...place, code: 'EPROTO', what: `what the server sent is no HTTP (${message})` });
  }
  if (DESCRIPTORS.has(code)) return new FetchError({ ...place, code, hint: NO_DESCRIPTOR });
  if (textOfCode(code) === 'unknown error' && message !== '') return new FetchError({ ...place, code, what: message });
  return new FetchError({ ...place, code });
}

/** The thread that fetches could not be started, or ended by an uncaught error. */
export function startError(cause: unknown, url: string): FetchError {
  const { code: given = 'EUNKNOWN', message = String(cause) } = (cause ?? {}) as Partial<NodeJS.ErrnoException>;
  // The reason why a thread could not begin at all is in Node's message alone.
  const code = /: (E[A-Z]+)$/.exec(given === 'ERR_WORKER_INIT_FAILED' ? message : '')?.[1] ?? given;
  const hint = DESCRIPTORS.has(code) ? NO_DESCRIPTOR : 'It is started anew with the next url: see the log of the host.';
  return new FetchError({
    code,
    url,
    what: `the thread that fetches has ended: ${message}`,
    hint,
    retryable: true,
    cause,
  });
}

/** Without WebAssembly nothing can be fetched here: undici's parser of HTTP is made of it. */
export const unparsable = (url: string): FetchError =>
  new FetchError({
    code: 'ENOSYS',
    url,
    what: 'this Node has no WebAssembly, which HTTP is parsed by',
    hint: 'Start the host without --jitless and --no-expose-wasm, or let another host fetch it.',
    retryable: true,
  });
