/** Checks the queue itself: whether hosts take from it, whether every job is in a list, whether hosts share a name. */
import { type Connection, WriteQueue } from '@penstock/queue';
import { type Finding, fail, ok, warn } from './finding.ts';

const SHOWN_MAX = 3;

/** What is found of the queue of any host, and of those of the hosts that are there. */
export async function checkQueue(connection: Connection): Promise<Finding[]> {
  const queue = new WriteQueue({ connection, onError: () => {} }); // its calls reject
  try {
    const hosts = (await queue.hosts()).filter(({ alive }) => alive);
    const names = [undefined, ...hosts.map(({ name }) => name)];
    const findings = await Promise.all(names.map((name) => checkOne(queue, name)));
    return [...findings.flat(), ...hosts.flatMap(({ name, twin }) => (twin === null ? [] : [twinFinding(name, twin)]))];
  } finally {
    await queue.close();
  }
}

async function checkOne(queue: WriteQueue, host: string | undefined): Promise<Finding[]> {
  const what = host === undefined ? 'queue' : `queue of ${host}`;
  const standstill = await queue.standstill(host);
  const { ids, complete } = await queue.lostJobs(host);
  const findings: Finding[] = [];
  if (standstill !== null) {
    const remedy = 'penstock hosts go on by themselves once it is over; what was added waits';
    findings.push(warn(what, standstill, remedy));
  }
  if (ids.length > 0) {
    const some = `${ids.slice(0, SHOWN_MAX).join(', ')}${ids.length > SHOWN_MAX ? ', …' : ''}`;
    findings.push(
      fail(
        `${what}: lost jobs`,
        `${complete ? '' : 'at least '}${ids.length} in no line, which no host will ever take: ${some}`,
        'penstock resume <id> puts one in line again, penstock cancel <id> ends it. A client of BullMQ 5 that resumes this queue drops what waits in it: see docs/queue.md',
      ),
    );
  }
  // Of the queues of single hosts only faults are reported.
  if (findings.length === 0 && host === undefined) {
    findings.push(
      ok(what, complete ? 'goes on, and every job stands in line' : 'goes on; it is too long for a look at each job'),
    );
  }
  return findings;
}

function twinFinding(name: string, { pid, machine }: { pid: number; machine: string }): Finding {
  return fail(
    `host ${name}`,
    `two processes have this name, one of them process ${pid} on machine ${machine}`,
    'writes for it alone land on the disks of either: give each host a --name of its own, or stop one of them',
  );
}
