#!/usr/bin/env node
/** The gateway's process: serves the dashboard until it is stopped. Started by `penstock up` or by a supervisor. */
import {
  addStoreOptions,
  commandOutput,
  complainTo,
  defaults,
  leaveStarter,
  LINK_MINUTES,
  logOf,
  openStore,
  publishDoor,
  reportToStarter,
  STOP_SIGNALS,
  storeSettings,
} from '@penstock/config';
import { assertUtf8Arguments } from '@penstock/config/utf8-arguments';
import { toWire } from '@penstock/contract';
import { Command, InvalidArgumentError } from 'commander';
import { Gateway } from './gateway.ts';

const PORT_MAX = 65_535;

function port(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= PORT_MAX) return value;
  throw new InvalidArgumentError(`Give a port from 0 (any free one) to ${PORT_MAX}.`);
}

const command = addStoreOptions(new Command('penstock-gateway'))
  .description(
    'serve the dashboard of the queue, on this machine only, until told to stop; it prints a link that lets one ' +
      'browser in, and `penstock link` prints more',
  )
  .option('--port <port>', 'where to listen; 0 takes a free port', port, defaults.GATEWAY_PORT)
  .option('--address <address>', 'the loopback address to listen at', defaults.GATEWAY_ADDRESS)
  .configureOutput(commandOutput)
  .showHelpAfterError();

const log = logOf('penstock gateway');
const complain = complainTo(log);

async function main(): Promise<void> {
  assertUtf8Arguments(process.argv.slice(2), process.env);
  command.parse();
  const options = command.opts<{ port: number; address: string; redis?: string; data?: string }>();
  const stopped = new Promise<void>((resolve) => {
    for (const signal of STOP_SIGNALS) process.on(signal, () => resolve());
    process.once('disconnect', () => resolve());
    // The process that started this one with a channel may have gone before anything listened to it.
    if (process.send !== undefined && !process.connected) resolve();
  });
  const { redis, dataDirectory } = storeSettings(options, process.env);
  const store = await openStore(redis, process.env, complain);
  try {
    const { address, port: wanted } = options;
    const gateway = await Gateway.start({ connection: store.connection, address, port: wanted, onError: complain });
    try {
      const withdraw = publishDoor(dataDirectory, gateway.door);
      if (process.connected) void reportToStarter({ ready: true, url: gateway.url, link: gateway.link() });
      else log(`${gateway.url}, open once within ${LINK_MINUTES} minutes: ${gateway.link()}`);
      await stopped;
      withdraw();
    } finally {
      await gateway.close();
    }
  } finally {
    await store.close();
  }
  leaveStarter();
}

try {
  await main();
} catch (error) {
  complain(error);
  void reportToStarter({ failed: toWire(error) }).then(leaveStarter);
  process.exitCode = 1;
}
