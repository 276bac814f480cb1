/**
 * Keeps the gateway to this machine. It has no users and no passwords yet, so whoever can send it a request can queue a
 * write; a page on the web must not be able to, through the browser of somebody who works here.
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
 * Refuses what did not come from this machine's own pages: a Host that is no loopback name is a foreign name made to
 * point here (DNS rebinding), a foreign Origin is another site's page.
 */
export async function refuseForeign(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { host, origin } = request.headers;
  const named = [host ?? '', ...(origin === undefined ? [] : [origin])];
  if (named.every((authority) => isLoopback(hostOf(authority) ?? ''))) return;
  await reply.code(403).send({ error: 'this dashboard answers only pages and programs of its own machine' });
}
