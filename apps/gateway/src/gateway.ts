/** The gateway: an HTTP server on loopback with the dashboard and a health check. */
import { type AddressInfo, isIP } from 'node:net';
import { dashboardLink, type DashboardDoor, newDashboardKey } from '@penstock/config';
import { type Connection, ErrorRelay, QUEUE_NAME, checkRedis, defaultJobOptions, redisOptions } from '@penstock/queue';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import Fastify, { type FastifyInstance } from 'fastify';
import { dashboard } from './dashboard.ts';
import { healthOf } from './health.ts';
import { HostQueues } from './host-queues.ts';
import { isLoopback, refuseForeign } from './local-only.ts';
import { keepToItself } from './page.ts';
import { guard, hasSession } from './session-guard.ts';
import { Sessions } from './session.ts';

export interface GatewayOptions {
  connection: Connection;
  /** A loopback address. */
  address: string;
  /** 0 takes a free port. */
  port: number;
  /** Called with errors that no request gets as its answer: a lost connection to Redis. */
  onError: (error: Error) => void;
}

const DASHBOARD_PATH = '/queues';
/** What the page asks for again and again. */
const QUEUES_ROUTE = `${DASHBOARD_PATH}/api/queues`;

export class Gateway {
  /** Where the dashboard is, for people. */
  readonly url: string;
  /** What its links are made with. */
  readonly door: DashboardDoor;
  readonly #server: FastifyInstance;
  readonly #queue: Queue;
  readonly #hostQueues: HostQueues;
  readonly #redis: Redis;

  private constructor(
    server: FastifyInstance,
    queue: Queue,
    hostQueues: HostQueues,
    redis: Redis,
    door: DashboardDoor,
  ) {
    this.door = door;
    this.#server = server;
    this.#queue = queue;
    this.#hostQueues = hostQueues;
    this.#redis = redis;
    this.url = `${door.origin}${DASHBOARD_PATH}`;
  }

  /** A link that lets one browser in, within ten minutes. */
  link(): string {
    return dashboardLink(this.door);
  }

  /** Listens. @throws (rejects with) an Error if the address is not loopback, or is taken, or Redis cannot be used */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const { address, port } = options;
    assertOwnAddress(address);
    await checkRedis(options.connection);
    // A connection of our own: BullMQ could not let go of one whose server is away.
    const redis = new Redis(redisOptions(options.connection));
    redis.on('error', () => {}); // the queue reports it
    const queue = new Queue(QUEUE_NAME, { connection: redis, defaultJobOptions });
    const relay = new ErrorRelay(options.onError);
    const report = (error: Error): void => relay.report(error);
    queue.on('error', report);
    const hostQueues = new HostQueues(redis, queue, report);
    const server = Fastify({ forceCloseConnections: true });
    try {
      const key = newDashboardKey();
      const sessions = new Sessions(key);
      keepToItself(server);
      server.addHook('onRequest', refuseForeign);
      guard(server, sessions, DASHBOARD_PATH);
      server.get('/', (_request, reply) => reply.redirect(DASHBOARD_PATH));
      server.get('/healthz', async (request, reply) => {
        const health = await healthOf(queue);
        const { status } = health;
        // A probe needs no more; how much waits here, and why Redis does not answer, is for those with a session.
        return reply
          .code(status === 'ok' ? 200 : 503)
          .send((await hasSession(request, sessions)) ? health : { status });
      });
      const board = dashboard(queue, DASHBOARD_PATH);
      await hostQueues.show(board);
      server.addHook('onRequest', async ({ url }) => {
        if (url.startsWith(QUEUES_ROUTE)) await hostQueues.show(board);
      });
      await server.register(board.plugin, { prefix: DASHBOARD_PATH });
      await listen(server, address, port);
      const { port: taken } = server.server.address() as AddressInfo;
      const host = address.includes(':') ? `[${address}]` : address;
      return new Gateway(server, queue, hostQueues, redis, { origin: `http://${host}:${taken}`, key });
    } catch (error) {
      await server.close();
      await hostQueues.close();
      await queue.close();
      redis.disconnect();
      throw error;
    }
  }

  /** Answers no more, and lets go of the queue. */
  async close(): Promise<void> {
    await this.#server.close();
    await this.#hostQueues.close();
    await this.#queue.close();
    this.#redis.disconnect();
  }
}

/** @throws Error EACCES if other machines reach `address`, or a browser may ask another one for it */
function assertOwnAddress(address: string): void {
  const refuse = (why: string, hint: string): never => {
    throw Object.assign(new Error(`${address} is not a loopback address${why}`), { code: 'EACCES', hint });
  };
  if (!isLoopback(address)) {
    refuse(
      ', and what the dashboard shows would travel in the clear',
      'use 127.0.0.1 or ::1, and a tunnel or a proxy that knows its users for anybody else',
    );
  }
  // Browsers look "localhost" up as ::1 first, where another user may listen, and would get the link.
  if (isIP(address) === 0) refuse(' but a name, which stands for several', 'use 127.0.0.1 or ::1');
}

async function listen(server: FastifyInstance, address: string, port: number): Promise<void> {
  try {
    await server.listen({ host: address, port });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hint =
      code === 'EADDRINUSE' ? 'another program listens there: choose another --port, or 0 for a free one' : undefined;
    throw Object.assign(new Error(`the dashboard cannot listen at ${address}:${port}: ${message}`), {
      code,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
