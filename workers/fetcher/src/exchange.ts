/**
 * One GET and its answer. undici reports it by callbacks, chunk by chunk as the socket is read: no stream stands
 * between, and a chunk is copied once, into the rows it is written from.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { RequestError } from '@penstock/contract';
import { Client, type Dispatcher } from 'undici';
import { AddressRefused } from './addresses.ts';
import { Gate, gatedConnector } from './connection.ts';
import type { Destination, FetchAnswer, FetchStart } from './destination.ts';
import { FetchError, statusError, transportError } from './errors.ts';
import { contentRange, goesOn, hasLength, header, identityOf, ifRangeOf } from './identity.ts';
import type { FetchMeans, FetchOrder } from './order.ts';

const OK = 200;
const PARTIAL = 206;
/** Answers that bring what the url names. 202 and 204 are successes too, but what comes with them is not that. */
const CONTENT: ReadonlySet<number> = new Set([OK, 203]);
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const UNSATISFIABLE = 416;

/** How an exchange ended that did not fail. */
export type Outcome =
  | { kind: 'fetched'; answer: FetchAnswer }
  | { kind: 'redirect'; location: string }
  /** The bytes that are there are of no use any more: the url is fetched again from 0. */
  | { kind: 'start over' };

export class Exchange implements Dispatcher.DispatchHandler {
  readonly #url: URL;
  readonly #order: FetchOrder;
  readonly #from: FetchStart;
  readonly #destination: Destination;
  readonly #signal: AbortSignal;
  #resolve!: (outcome: Outcome) => void;
  #reject!: (error: unknown) => void;
  readonly #outcome = new Promise<Outcome>((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });
  #isOver = false;
  readonly #gate = new Gate();
  /** Bytes that came and found no room: no more than one read of the socket. */
  readonly #waiting: Uint8Array[] = [];
  /** The answer has come to its end, though some of it may wait for room. */
  #ended = false;
  #answer: FetchAnswer | null = null;
  /** The position in the file of the next byte that comes. */
  #arrived = 0;
  #silence: NodeJS.Timeout | undefined;

  constructor(url: URL, order: FetchOrder, from: FetchStart, destination: Destination, signal: AbortSignal) {
    this.#url = url;
    this.#order = order;
    this.#from = from;
    this.#destination = destination;
    this.#signal = signal;
  }

  async run({ policy, ca }: FetchMeans): Promise<Outcome> {
    const abort = (): void => this.#fail(this.#signal.reason);
    this.#signal.addEventListener('abort', abort);
    this.#restartSilenceTimer();
    const ifRange = this.#from.offset > 0 && this.#from.identity !== null ? ifRangeOf(this.#from.identity) : null;
    const { origin, pathname, search } = this.#url;
    // One client per exchange: its end closes the connection, even one that is still being made.
    const client = new Client(origin, {
      connect: gatedConnector(policy, ca, this.#gate),
      // Only the time of waiting for the server counts, which is watched here.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    try {
      client.dispatch(
        {
          path: pathname + search,
          method: 'GET',
          reset: true,
          headers: {
            accept: '*/*',
            'accept-encoding': 'identity',
            'user-agent': 'penstock',
            ...(ifRange === null ? {} : { range: `bytes=${this.#from.offset}-`, 'if-range': ifRange }),
          },
        },
        this,
      );
      return await this.#outcome;
    } finally {
      this.#stopSilenceTimer();
      this.#signal.removeEventListener('abort', abort);
      void client.destroy();
    }
  }

  // ------------------------------------------------------------------------------------------- what undici calls

  /** Without it undici takes this for a handler of its older kind. */
  onRequestStart(): void {}

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusText = '',
  ): void {
    if (status < OK || this.#isOver) return; // 103 and the like announce, and the answer follows
    this.#restartSilenceTimer();
    try {
      const outcome = this.#judge(status, headers, statusText);
      if (outcome !== null) this.#end(outcome);
    } catch (error) {
      this.#fail(error);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#isOver) return;
    const { totalBytes } = this.#answer!;
    this.#arrived += chunk.length;
    if (totalBytes !== null && this.#arrived > totalBytes) {
      this.#fail(this.#sizeError('more'));
    } else if (this.#waiting.length > 0) {
      this.#waiting.push(chunk); // of the read that the gate came too late for
    } else {
      const rest = chunk.subarray(this.#destination.push(chunk));
      if (rest.length === 0) this.#restartSilenceTimer();
      else void this.#holdBack(rest);
    }
  }

  onResponseEnd(): void {
    if (this.#gate.brokenBy !== null) {
      this.#fail(transportError(this.#gate.brokenBy, this.#url.href, this.#arrived));
      return;
    }
    this.#ended = true;
    if (this.#waiting.length === 0) this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error instanceof AddressRefused ? error : transportError(error, this.#url.href, this.#arrived));
  }

  // ------------------------------------------------------------------------------------------------- the answer

  /** The outcome, if the head of the answer decides it; null if its bytes are wanted. */
  #judge(status: number, headers: IncomingHttpHeaders, statusText: string): Outcome | null {
    const location = header(headers, 'location');
    if (REDIRECTS.has(status) && location !== undefined) return { kind: 'redirect', location };
    const asked = this.#from.offset;
    if (status === UNSATISFIABLE && asked > 0) return this.#judgeUnsatisfiable(headers);
    if (!CONTENT.has(status) && (status !== PARTIAL || asked === 0)) {
      throw statusError(this.#url.href, status, statusText);
    }
    this.#assertPlain(headers);
    if (status !== PARTIAL) {
      const totalBytes = lengthOf(headers);
      this.#begin({ offset: 0, totalBytes, identity: identityOf(headers, totalBytes) });
      return null;
    }
    const range = contentRange(header(headers, 'content-range'));
    const whole = range !== null && range.totalBytes !== null && range.last === range.totalBytes - 1;
    if (!whole || range.first !== asked || !goesOn(this.#from.identity!, headers, range.totalBytes)) {
      return { kind: 'start over' };
    }
    this.#begin({ offset: asked, totalBytes: range.totalBytes, identity: this.#from.identity });
    return null;
  }

  /** All of it may be there already: then nothing is left that a range could name. */
  #judgeUnsatisfiable(headers: IncomingHttpHeaders): Outcome {
    const { offset, identity } = this.#from;
    const [, total] = /^bytes \*\/(\d{1,15})$/i.exec(header(headers, 'content-range')?.trim() ?? '') ?? [];
    // With another identity the If-Range would have had all of it sent; but not every server looks at that first.
    if (total === undefined || Number(total) !== offset || !hasLength(identity!, offset)) return { kind: 'start over' };
    this.#begin({ offset, totalBytes: offset, identity });
    return { kind: 'fetched', answer: this.#answer! };
  }

  #assertPlain(headers: IncomingHttpHeaders): void {
    const found = [...codingsBut('identity', headers['content-encoding'])];
    found.push(...codingsBut('chunked', headers['transfer-encoding'])); // also of a server that was asked for no other
    if (found.length === 0) return;
    throw new FetchError({
      code: 'EHTTP',
      url: this.#url.href,
      what: `the server answered with the encoding ${found.join(', ')}`,
      hint: 'It was asked for the bytes as they are: nothing is decoded here.',
      retryable: false,
    });
  }

  #begin(answer: FetchAnswer): void {
    const { size } = this.#order;
    if (size !== undefined && answer.totalBytes !== null && answer.totalBytes !== size) {
      const accepted = `the ${answer.totalBytes} bytes that '${this.#url.href}' has, or leave it out`;
      throw new RequestError({ field: 'size', value: size, accepted });
    }
    this.#answer = { ...answer, totalBytes: answer.totalBytes ?? size ?? null };
    this.#arrived = answer.offset;
    this.#destination.begin(this.#answer);
  }

  /** Reads no further until all that came is pushed. */
  async #holdBack(rest: Uint8Array): Promise<void> {
    this.#waiting.push(rest);
    this.#gate.close();
    this.#stopSilenceTimer(); // it is the disk that is waited for now
    try {
      while (!this.#isOver && this.#waiting.length > 0) {
        // Each piece waits for its room.
        await this.#destination.room();
        if (!this.#isOver) this.#pushWaiting();
      }
    } catch (error) {
      this.#fail(error);
    }
    if (this.#isOver) return;
    this.#restartSilenceTimer();
    if (this.#ended) this.#finish();
    else this.#gate.open();
  }

  #pushWaiting(): void {
    const chunk = this.#waiting[0]!;
    const taken = this.#destination.push(chunk);
    if (taken === chunk.length) this.#waiting.shift();
    else this.#waiting[0] = chunk.subarray(taken);
  }

  #finish(): void {
    if (this.#isOver) return;
    const { totalBytes } = this.#answer!;
    if (totalBytes !== null && this.#arrived < totalBytes) this.#fail(this.#sizeError('fewer'));
    else this.#end({ kind: 'fetched', answer: this.#answer! });
  }

  /** The end came before or after the size that the request named, or the server itself. */
  #sizeError(which: 'more' | 'fewer'): Error {
    const { href } = this.#url;
    const { totalBytes } = this.#answer!;
    const isAsked = this.#order.size !== undefined;
    if (which === 'more' && isAsked) {
      const accepted = `the size of '${href}', which has more bytes, or leave it out`;
      return new RequestError({ field: 'size', value: totalBytes, accepted });
    }
    const whose = isAsked ? 'the size that was asked for' : 'the size that the server told';
    // The server declared no length of this answer, so it cannot be known whether it is shorter or was cut short.
    const what =
      which === 'more'
        ? `the answer went on beyond ${whose}`
        : `the answer ended ${totalBytes! - this.#arrived} bytes before ${whose}`;
    return new FetchError({ code: 'EHTTP', url: href, what, offset: this.#arrived, retryable: true });
  }

  // ------------------------------------------------------------------------------------------------------ the end

  /** From here on the server has `timeoutMs` until its next byte. */
  #restartSilenceTimer(): void {
    if (this.#isOver) return;
    if (this.#silence === undefined) {
      this.#silence = setTimeout(() => this.#fail(this.#silenceError()), this.#order.timeoutMs);
    } else {
      this.#silence.refresh();
    }
  }

  #stopSilenceTimer(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined; // a timer that was cleared is not to be refreshed
  }

  #silenceError(): FetchError {
    const what = `no byte came for ${this.#order.timeoutMs} ms`;
    const hint = 'The server or the way to it is too slow or gone: it is tried again while attempts are left.';
    return new FetchError({ code: 'ETIMEDOUT', url: this.#url.href, what, offset: this.#arrived, hint });
  }

  #end(outcome: Outcome): void {
    this.#isOver = true;
    this.#resolve(outcome);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reject(error);
  }
}

/** The codings that a header names, without the `plain` one. */
function codingsBut(plain: string, value: string | string[] = []): string[] {
  const named = [value].flat().flatMap((line) => line.split(','));
  return named.map((coding) => coding.trim()).filter((coding) => coding !== '' && coding.toLowerCase() !== plain);
}

/** The Content-Length; null if there is none. */
function lengthOf(headers: IncomingHttpHeaders): number | null {
  const text = header(headers, 'content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}
