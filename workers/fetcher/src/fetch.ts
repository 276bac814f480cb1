/**
 * One url, from its request to its last byte: redirects followed and each judged again, the answer checked before its
 * first byte is passed on, and its bytes pushed as they come. Nothing is collected here: while there is no room, the
 * connection is read no further.
 */
import { RequestError } from '@penstock/contract';
import { AddressRefused } from './addresses.ts';
import type { Destination, FetchAnswer, FetchStart } from './destination.ts';
import { FetchError, unparsable } from './errors.ts';
import { exchangeClass } from './http.ts';
import type { FetchMeans, FetchOrder } from './order.ts';

/**
 * Fetches `order` into `destination`, from `start` on if the server still has the same bytes. Resolves when the last
 * byte is pushed.
 * @throws RequestError if the url leads to an address that is not public, or has another size than was asked for
 * @throws FetchError for all else that the server, the network or the name does
 * @throws the reason of `signal`
 */
export async function fetchInto(
  order: FetchOrder,
  start: FetchStart,
  destination: Destination,
  means: FetchMeans,
  signal: AbortSignal,
): Promise<FetchAnswer> {
  let from = start.identity === null ? { offset: 0, identity: null } : start;
  let url = new URL(order.url);
  let hops = 0;
  const Exchange = await exchangeClass();
  if (Exchange === null) throw unparsable(order.url);
  for (;;) {
    signal.throwIfAborted();
    try {
      means.policy.assertHost(url.hostname);
      // Each hop is known by the answer to the one before.
      const outcome = await new Exchange(url, order, from, destination, signal).run(means);
      if (outcome.kind === 'fetched') return outcome.answer;
      if (outcome.kind === 'start over') {
        from = { offset: 0, identity: null };
        continue;
      }
      hops += 1;
      url = nextUrl(url, outcome.location, order, hops);
    } catch (error) {
      throw error instanceof AddressRefused ? refusal(order.url, url, error) : error;
    }
  }
}

/** @throws FetchError if the redirect may not be followed */
function nextUrl(url: URL, location: string, order: FetchOrder, hops: number): URL {
  const refuse = (what: string, hint: string): never => {
    throw new FetchError({ code: 'EHTTP', url: url.href, what, hint, retryable: false });
  };
  if (hops > order.redirects) {
    const many = `the server redirects more than ${order.redirects} times`;
    refuse(
      many,
      "Give the url where the chain ends, or raise source.redirects; a chain without an end is the server's fault.",
    );
  }
  if (!URL.canParse(location, url.href)) refuse(`the server redirects to '${location}'`, 'That is no url.');
  const next = new URL(location, url);
  if (next.protocol !== 'http:' && next.protocol !== 'https:') {
    refuse(`the server redirects to ${next.protocol}`, 'Only http and https are followed.');
  }
  if (url.protocol === 'https:' && next.protocol === 'http:') {
    refuse(
      `the server redirects from https to '${next.href}'`,
      'Nobody vouches for what comes over http: give that url itself if it is meant.',
    );
  }
  if (next.username !== '' || next.password !== '') {
    refuse(
      'the server redirects to a url with a user or a password',
      'Those are never sent: give a url that needs none.',
    );
  }
  next.hash = '';
  return next;
}

/** The request is at fault: it names, by however many redirects, what it may not. */
function refusal(asked: string, url: URL, { address, what }: AddressRefused): RequestError {
  const by = url.href === new URL(asked).href ? 'it leads' : `it redirects to '${url.href}' and so leads`;
  const accepted = `a url of a public address, or have the host allow this one (--url-allow ${address})`;
  const message = `source.url: '${asked}' is not accepted: ${by} to ${address}, which is ${what}; give ${accepted}`;
  return new RequestError({ field: 'source.url', value: asked, accepted, message });
}
