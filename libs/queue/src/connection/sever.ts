/** How a client is ended while Redis is away. */

/** Ends a client at once, in whatever state it is, so that everything waiting in it is rejected. */
export function sever(client: { status: string; connect: () => Promise<unknown>; disconnect: () => void }): void {
  // Between two tries to reconnect there is no socket whose end would do that: begin a try, and end it.
  if (client.status === 'reconnecting') client.connect().catch(() => {});
  client.disconnect();
}
