/** How a server is stopped in order: one that this process started, and one that another process did. */
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningServer } from './launch.ts';
import { PROBE_MS_MAX, probe } from './probe.ts';

/** The last write has to reach the disk; then there is nothing left to wait for. */
const STOP_MS_MAX = 10_000;
/** The shell beside the server kills it after STOP_MS_MAX; this long after that its end has been seen. */
const FORCED_MS = 2000;
/**
 * How long the end of a process is awaited whose connections are closed. If it runs in another container, its number may
 * belong to a process here that never ends.
 */
const LAST_GASP_MS_MAX = 500;
/** Between two looks at what is about to happen. */
const LOOK_MS = 3;

/** Stops `server`, which this process started; resolves once it has ended. */
export async function stopOwn(server: RunningServer, socketPath: string, known: Socket | null): Promise<void> {
  const link = known ?? (await linkTo(server, socketPath));
  server.hold();
  // SHUTDOWN writes the append-only file out and removes the socket while the lock is still held, so that neither
  // this process nor any other can remove the socket of the server that follows.
  if (link === null) server.kill();
  else link.write('SHUTDOWN NOSAVE\r\n');
  const timer = setTimeout(() => server.kill(), STOP_MS_MAX);
  await server.end;
  clearTimeout(timer);
  link?.destroy();
}

/** A server that has only just been started answers in a moment; then it can be stopped in order, not killed. */
async function linkTo(server: RunningServer, socketPath: string): Promise<Socket | null> {
  const deadline = performance.now() + PROBE_MS_MAX;
  while (server.ended === null && performance.now() < deadline) {
    const found = await probe(socketPath, PROBE_MS_MAX);
    if (found.state === 'ready') return found.link; // ours: no other can run while it holds the lock
    await delay(LOOK_MS);
  }
  return null;
}

/** Stops a server that another process started, as its last user; the end of `link` is the end of the server. */
export async function stopOrphan(link: Socket): Promise<void> {
  const gone = new AbortController();
  let answer = '';
  link.on('data', (chunk) => {
    answer += String(chunk);
  });
  link.once('close', () => gone.abort());
  link.ref();
  link.write('INFO server\r\nSHUTDOWN NOSAVE\r\n');
  // The shell beside it ends it by force if it hangs.
  if (!link.destroyed) await delay(STOP_MS_MAX + FORCED_MS, undefined, { signal: gone.signal }).catch(() => {});
  // A process closes its sockets before it lets go of its directory, which may be about to be unmounted.
  const pid = /process_id:(\d+)/.exec(answer)?.[1];
  if (pid === undefined) return;
  const until = performance.now() + LAST_GASP_MS_MAX;
  while (existsSync(`/proc/${pid}`) && performance.now() < until) await delay(LOOK_MS);
}
