/**
 * Keeps the gateway to this machine and to its own pages: no other page, of the web or of another port of this machine,
 * asks it anything through a browser that was let in.
 */
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** True for addresses that no other machine reaches: 127.0.0.0/8, ::1, and the name that stands for them. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** The host of a Host or Origin header, without its port; null if it cannot be read. */
export function hostOf(authority: string): string | null {
  const text = authority.includes('://') ? authority : `http://${authority}`;
  if (!URL.canParse(text)) return null;
  return new URL(text).hostname.replaceAll(/^\[|\]$/g, '');
}

/**
 * Refuses what did not come from the dashboard's own pages: a Host that is no loopback name is a foreign name made to
 * point here (DNS rebinding), an Origin with another name or port is a foreign page. To cookies all ports of a host
 * are one site, and only Sec-Fetch-Site shows who asks by GET.
 */
export async function refuseForeign(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { host = '', origin } = request.headers;
  const asker = request.headers['sec-fetch-site'];
  const isOwn =
    isLoopback(hostOf(host) ?? '') && (origin === undefined || placeOf(origin) === placeOf(`http://${host}`));
  const isAsked = asker === undefined || asker === 'same-origin' || asker === 'none' || opensPage(request);
  if (isOwn && isAsked) return;
  await reply.code(403).send({ error: 'this dashboard answers its own pages and programs of its own machine' });
}

/** Name and port, by which pages differ. */
const placeOf = (origin: string): string | null => (URL.canParse(origin) ? new URL(origin).host : null);

/** A link from anywhere that opens a page of its own: the page that has the link can neither read nor frame it. */
const opensPage = ({ method, headers }: FastifyRequest): boolean =>
  method === 'GET' && headers['sec-fetch-dest'] === 'document';
