/** Urls that name a Redis, as options and programs give them. */

/**
 * The Unix socket that unix:///path names, or the url of a server by redis:// or rediss://; null for any other text. What
 * else is in the url of a server is not judged here.
 */
export function parseRedisUrl(text: string): { socketPath: string } | { server: URL } | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'unix:') return { socketPath: decodeURIComponent(url.pathname) };
  return url?.protocol === 'redis:' || url?.protocol === 'rediss:' ? { server: url } : null;
}
