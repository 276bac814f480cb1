/** `penstock hosts`: which hosts there are, what they do and what they have. */
import { Command } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import { describeHost, hostTable } from '../listing/host-text.ts';
import { onQueue } from '../job/on-queue.ts';
import { UsageError } from '../terminal/failures.ts';
import { print, printJson, say } from '../terminal/output.ts';

interface HostsOptions extends StoreOptions {
  all?: boolean;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ penstock hosts                    those that are there
  $ penstock hosts --all              those that were there in the last month too
  $ penstock hosts disk-3             all that is known of one
  $ penstock hosts --json | jq -r 'select(.vitals.running > 0) | .name'

A host reports once a second. It is silent if it has not for ten: it hangs, was killed, or cannot reach Redis.
Exit codes: 0 listed, 1 Redis cannot be used, 2 there is no such host.`;

export function hostsCommand(): Command {
  const command = new Command('hosts')
    .description('List the hosts of a queue by name: what each does, how fast, and what its roots have left.')
    .argument('[name]', 'one host, with all that is known of it')
    .option('--all', 'also those that are gone, but were there in the last month', false)
    .option('--json', 'print one JSON object a line');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(listHosts);
}

async function listHosts(name: string | undefined, options: HostsOptions): Promise<void> {
  const known = await onQueue(options, (queue) => queue.hosts());
  const wanted = known.filter((host) => (name === undefined ? options.all === true || host.alive : host.name === name));
  if (name !== undefined && wanted.length === 0) {
    const names = known.map((host) => host.name).join(', ');
    throw new UsageError(`No host of the name ${name} was ever here; there are: ${names || 'none'}.`);
  }
  if (options.json === true) for (const host of wanted) printJson(host);
  else if (name !== undefined) for (const text of wanted.flatMap(describeHost)) print(text);
  else if (wanted.length > 0) print(hostTable(wanted));
  else say(known.length === 0 ? 'no host was ever here' : `no host is here now; --all shows those that were`);
}
