/** A Redis of its own with any options, on a port, as other people run theirs; and an address that can be switched. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installedServer } from '@penstock/redis/installed-server';
import { Redis } from 'ioredis';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export class RedisServer {
  readonly directory: string;
  readonly port: number;
  /** To look behind the scenes, and to set it up. */
  readonly client: Redis;
  readonly #child: ChildProcess;

  private constructor(directory: string, port: number, child: ChildProcess, client: Redis) {
    this.directory = directory;
    this.port = port;
    this.#child = child;
    this.client = client;
  }

  /** Started with `options` and answering. */
  static async start(options: Record<string, string> = {}, o: { sentinel?: boolean } = {}): Promise<RedisServer> {
    const server = installedServer();
    const directory = mkdtempSync(join(tmpdir(), 'penstock-redis-server-'));
    const port = await freePort();
    const all = { port: String(port), dir: directory, save: '', 'repl-diskless-sync-delay': '0', ...options };
    const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
    if (o.sentinel === true) {
      const file = join(directory, 'sentinel.conf');
      writeFileSync(file, '');
      args.splice(0, args.length, file, '--sentinel', '--port', String(port), '--dir', directory);
    }
    const child = spawn(server.bin, args, { stdio: 'ignore', env: { ...process.env, LC_ALL: 'C', ...server.env } });
    const client = new Redis({ port, retryStrategy: () => 20, maxRetriesPerRequest: null, enableReadyCheck: false });
    client.on('error', () => {});
    await client.ping();
    return new RedisServer(directory, port, child, client);
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async follow(master: RedisServer): Promise<void> {
    await this.client.call('REPLICAOF', '127.0.0.1', String(master.port));
    while (!(await this.client.info('replication')).includes('master_link_status:up')) await sleep(20);
  }

  async lead(): Promise<void> {
    await this.client.call('REPLICAOF', 'NO', 'ONE');
  }

  async close(): Promise<void> {
    this.client.disconnect();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** An address that leads to one server, and from a moment on to another: what is connected stays where it was. */
export class VirtualAddress {
  readonly url: string;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(listener: Server, sockets: Set<Socket>) {
    this.#listener = listener;
    this.#sockets = sockets;
    this.url = `redis://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  }

  static async leadingTo(port: () => number): Promise<VirtualAddress> {
    const sockets = new Set<Socket>();
    const listener = createServer((near) => {
      const far = connect(port(), '127.0.0.1');
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return new VirtualAddress(listener, sockets);
  }

  async close(): Promise<void> {
    this.#listener.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#listener, 'close');
  }
}
