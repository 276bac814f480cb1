/** `penstock link`: a way into the dashboard that runs with this data directory. */
import { Command } from 'commander';
import { addDataOption, dashboardLink, LINK_MINUTES, readDoors, storeSettings } from '@penstock/config';
import { print, printJson, say } from '../terminal/output.ts';

interface LinkOptions {
  data?: string;
  json?: boolean;
}

const ANSWER_MS_MAX = 2000;

const EXAMPLES = `
Examples:
  $ penstock link
  $ penstock link --data /srv/penstock

Run it as the user who runs the dashboard. Exit codes: 0 printed, 1 no dashboard runs here.`;

export function linkCommand(): Command {
  const command = new Command('link')
    .description(`Print a link into the dashboard: it lets one browser in, within ${LINK_MINUTES} minutes.`)
    .option('--json', 'print one JSON object');
  return addDataOption(command).addHelpText('after', EXAMPLES).action(link);
}

async function link(options: LinkOptions): Promise<void> {
  const { dataDirectory } = storeSettings(options, process.env);
  const doors = readDoors(dataDirectory);
  const answering = await Promise.all(doors.map(({ origin }) => answers(origin)));
  const links = doors.filter((_door, index) => answering[index]).map((door) => dashboardLink(door));
  if (links.length === 0) {
    throw Object.assign(new Error(`no dashboard runs with the data directory ${dataDirectory}`), {
      code: 'ENOENT',
      hint: 'penstock up starts one; name its data directory with --data',
    });
  }
  if (options.json === true) {
    printJson({ ok: true, links });
    return;
  }
  for (const text of links) print(text);
  say(`good once, for ${LINK_MINUTES} minutes`);
}

/** Whether something listens there: of a gateway that was killed the key is still there. */
async function answers(origin: string): Promise<boolean> {
  try {
    await fetch(new URL('/healthz', origin), { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    return true;
  } catch {
    return false;
  }
}
