/** The headers of every answer, and the dashboard's page as it is served: it loads nothing from anywhere else. */
import type { FastifyInstance } from 'fastify';

/** Styles stand in the page's elements, bull-board's own way; scripts do not. */
const POLICY = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-frame-options': 'DENY',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** A stylesheet of another origin holds up the first paint until that origin answers. */
const FOREIGN_LINK = /\s*<link\b[^>]*\bhref="(?:https?:)?\/\/[^>]*>/gi;

/** The page without what it would get from elsewhere: bull-board's web font. The fonts that it names next are local. */
export const withoutForeign = (html: string): string => html.replace(FOREIGN_LINK, '');

/** Sets the headers of all answers, and serves pages without what they would get from elsewhere. */
export function keepToItself(server: FastifyInstance): void {
  server.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS);
  });
  server.addHook('onSend', async (_request, reply, payload) => {
    const type = String(reply.getHeader('content-type') ?? '');
    // The jobs change, and so does who may see them: such answers are not for a cache.
    if (!/css|javascript|image|font/.test(type)) reply.header('cache-control', 'no-store');
    return typeof payload === 'string' && type.startsWith('text/html') ? withoutForeign(payload) : payload;
  });
}
