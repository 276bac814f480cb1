/** The session in HTTP: the route that takes a link, the cookie, and the refusal of requests without one. */
import { LINK_MINUTES, LINK_PATH } from '@penstock/config';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { userOf } from './peer-user.ts';
import type { Refusal, Sessions } from './session.ts';

/** Routes that need no session. */
const OPEN_ROUTES: ReadonlySet<string | undefined> = new Set([LINK_PATH, '/healthz']);

/** True if the request comes from a browser that was let in. */
export async function hasSession(request: FastifyRequest, sessions: Sessions): Promise<boolean> {
  const value = cookieOf(request);
  return value !== undefined && sessions.holds(value, () => userOf(request.raw.socket));
}

/** Has `server` refuse requests without a session; a link leads on to `startPath`. */
export function guard(server: FastifyInstance, sessions: Sessions, startPath: string): void {
  server.addHook('onRequest', async (request, reply) => {
    if (OPEN_ROUTES.has(request.routeOptions.url) || (await hasSession(request, sessions))) return;
    await refuse(request, reply, cookieOf(request) === undefined ? 'none' : 'ended');
  });
  server.get<{ Querystring: { token?: unknown } }>(LINK_PATH, { exposeHeadRoute: false }, async (request, reply) => {
    const { token } = request.query;
    const whose = (): Promise<number | null> => userOf(request.raw.socket);
    const taken = await sessions.exchange(typeof token === 'string' ? token : '', whose);
    if ('refusal' in taken) {
      // Opened again, by a browser that was let in with it: a page that is reloaded.
      if (taken.refusal === 'used' && (await hasSession(request, sessions))) return onwards(reply, startPath);
      return refuse(request, reply, taken.refusal);
    }
    const cookie = `${cookieName(request)}=${taken.value}; HttpOnly; SameSite=Strict; Path=/`;
    return onwards(reply.header('set-cookie', cookie), startPath);
  });
}

/**
 * Not a redirect: after one, a browser that was led here by another site's page (a terminal in a browser, for example) would not
 * send the cookie along.
 */
const onwards = (reply: FastifyReply, path: string): FastifyReply =>
  reply
    .type('text/html; charset=utf-8')
    .send(`<!DOCTYPE html><meta http-equiv="refresh" content="0;url=${path}"><title>Penstock</title>`);

/** By the port that the browser has: it keeps one jar of cookies for all ports of a host. */
const cookieName = ({ headers }: FastifyRequest): string =>
  `penstock-${/:(\d{1,5})$/.exec(headers.host ?? '')?.[1] ?? '80'}`;

function cookieOf(request: FastifyRequest): string | undefined {
  const name = cookieName(request);
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return undefined;
}

const WHY: Record<Refusal | 'none' | 'ended', string> = {
  none: 'This dashboard is for those who were let in with a link.',
  ended: 'This browser was let in before; since then the dashboard was started again, or a day has passed.',
  unknown: 'This is no link of this dashboard, or of an earlier start of it.',
  expired: `This link is older than ${LINK_MINUTES} minutes.`,
  used: 'This link was used: each lets one browser in.',
};
const WAY = 'penstock link';

async function refuse(request: FastifyRequest, reply: FastifyReply, why: keyof typeof WHY): Promise<FastifyReply> {
  const { accept = '' } = request.headers;
  reply.code(401);
  if (!accept.includes('text/html')) {
    return reply.send({ error: WHY[why], hint: `for a link, as the user who runs it: ${WAY}` });
  }
  return reply.type('text/html; charset=utf-8').send(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Penstock</title>
<style>body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36em; margin: 20vh auto; padding: 0 1em }</style>
<h1>Penstock</h1>
<p>${WHY[why]}</p>
<p>For a link, as the user who runs it and with the same <code>--data</code>: <code>${WAY}</code></p>
</html>
`);
}
