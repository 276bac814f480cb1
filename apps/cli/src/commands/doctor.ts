/** `penstock doctor`: checks everything that a host depends on, and names the remedy of what is wrong. */
import { Command } from 'commander';
import { addHostOptions, defaultRoot, type HostOptions, hostSettings, readLibaio } from '@penstock/config';
import { AlreadyReported, EXIT_FAILED } from '../terminal/failures.ts';
import { print, printJson, resultScreen } from '../terminal/output.ts';
import { ScreenText } from '../terminal/screen-text.ts';
import type { Finding, Verdict } from '../doctor/finding.ts';

type DoctorOptions = HostOptions & { json?: boolean };

const EXAMPLES = `
Examples:
  $ penstock doctor
  $ penstock doctor --root captures=/srv/captures --root archive=/srv/archive:ro
  $ penstock doctor --redis redis://queue.example:6379 --json

Writes a few kilobytes to each root and removes them again. Exit codes: 0 nothing failed, 1 something did.`;

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('Look at everything a host depends on, and say what to do where something is amiss.')
    .option('--json', 'print one JSON object');
  return addHostOptions(command).addHelpText('after', EXAMPLES).action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const settings = hostSettings(options, process.env);
  const libaioFile = readLibaio();
  const [{ checkMachine }, { checkRootApart }, { checkSegments }, { checkRedis }] = await Promise.all([
    import('../doctor/machine.ts'),
    import('../doctor/root-process.ts'),
    import('../doctor/segments.ts'),
    import('../doctor/redis.ts'),
  ]);
  const findings = checkMachine(libaioFile);
  const { dataDirectory } = settings;
  const made = defaultRoot(dataDirectory).path;
  // Together, that one which does not answer holds up no other.
  const looks = settings.roots.map((root) =>
    checkRootApart({ root, isMade: root.path === made, dataDirectory, libaioFile }),
  );
  findings.push(...(await Promise.all(looks)).flat());
  findings.push(checkSegments({ directory: settings.shmDirectory, groupId: settings.shmGroupId }));
  findings.push(...(await checkRedis(settings, process.env)));
  const failed = findings.some(({ verdict }) => verdict === 'fail');
  if (options.json === true) printJson({ ok: !failed, findings });
  else await printFindings(findings);
  if (failed) throw new AlreadyReported(EXIT_FAILED);
}

const COLORS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
const FOUND_WIDTH_MIN = 40;

async function printFindings(findings: readonly Finding[]): Promise<void> {
  const { drawTable } = await import('../terminal/table-text.ts');
  const whatWidth = Math.max(...findings.map(({ what }) => what.length));
  const { isTTY, columns: terminalColumns, hasColors } = resultScreen();
  const columns = isTTY ? terminalColumns : 120;
  const foundWidth = Math.max(FOUND_WIDTH_MIN, columns - whatWidth - 16); // the borders and the verdicts
  const rows = findings.map(({ verdict, what, found, remedy }) => [
    ScreenText.painted(COLORS[verdict], verdict, hasColors),
    what,
    remedy === undefined ? found : [found, `-> ${remedy}`],
  ]);
  print(drawTable([{ heading: '' }, { heading: 'what' }, { heading: 'found', width: foundWidth }], rows, false));
  const count = (verdict: Verdict): number => findings.filter((finding) => finding.verdict === verdict).length;
  print(`${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`);
}
