/** `penstock enqueue`: puts a write into the queue and leaves. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addStoreOptions, type StoreOptions, wholeNumber } from '@penstock/config';
import { ANY_HOST, type JobRequestInput } from '@penstock/contract';
import type { WriteQueue } from '@penstock/queue';
import { UsageError } from '../terminal/failures.ts';
import { print, say } from '../terminal/output.ts';
import {
  addRequestOptions,
  judgeRequest,
  type RequestOptions,
  requestOf,
  targetOption,
} from '../job/request-options.ts';
import { sayStandstill } from '../job/standstill.ts';
import { onQueue } from '../job/on-queue.ts';
import { storeFlags } from '../job/store-options.ts';

interface EnqueueOptions extends RequestOptions, StoreOptions {
  request?: string;
  priority?: number;
  delay?: number;
  attempts?: number;
  jobId?: string;
}

/** The options by whom they are for. */
interface Sorted {
  json: string | undefined;
  described: RequestOptions;
  inQueue: Pick<EnqueueOptions, 'priority' | 'delay' | 'attempts' | 'jobId'>;
  store: StoreOptions;
}

function sort(options: EnqueueOptions): Sorted {
  const { request: json, redis, data, priority, delay, attempts, jobId, ...described } = options;
  return {
    json,
    described,
    inQueue: {
      ...(priority === undefined ? {} : { priority }),
      ...(delay === undefined ? {} : { delay }),
      ...(attempts === undefined ? {} : { attempts }),
      ...(jobId === undefined ? {} : { jobId }),
    },
    store: { ...(redis === undefined ? {} : { redis }), ...(data === undefined ? {} : { data }) },
  };
}

/** BullMQ's largest priority: it shares a double with a counter. */
const PRIORITY_MAX = 2_097_152;
const YEAR_MS = 31_536_000_000;
/** An answer that takes longer than that is waited for because the queue is full. */
const WAITING_MS = 1500;

const EXAMPLES = `
Examples:
  $ penstock enqueue run-42.dat --size 1GiB --pattern stamp
  $ penstock enqueue nightly.img --from live.img --delay 60000 --attempts 5
  $ penstock enqueue --request '{"path": "a.bin", "size": 1048576, "matrix": {"rows": 1024, "rowBytes": 1024}}'
  $ produce-requests | penstock enqueue --request -
  $ penstock enqueue --request '{"size": "4KiB", "files": [{"path": "a.bin"}, {"path": "b.bin"}]}'

Prints the id of the job on standard output: penstock watch <id> shows how it goes.`;

export function enqueueCommand(): Command {
  const command = new Command('enqueue')
    .description('Put a write into the queue, print the id of its job, and leave.')
    .argument('[path]', 'the file to write, named inside its root');
  addRequestOptions(command)
    .option('-r, --root <name>', 'the root to write in (default: data)')
    .option('--from-root <name>', 'the root of --from (default: data)')
    .addOption(
      new Option('--request <json>', 'the whole request as JSON: the text itself, @file, or - for standard input'),
    );
  command
    .optionsGroup('In the queue:')
    .option('--priority <n>', 'lower numbers go first; without, before all of them', wholeNumber(1, PRIORITY_MAX))
    .option('--delay <ms>', 'milliseconds to wait before it may start', wholeNumber(0, YEAR_MS))
    .option('--attempts <n>', 'how often it is tried at most (default: 3)', wholeNumber(1, 1000))
    .option('--job-id <id>', 'an id of your own; one that is in the queue already is not added again', parseJobId);
  command.addOption(targetOption());
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(enqueue);
}

/** What BullMQ takes for an id: it numbers jobs itself, and builds keys with colons. */
function parseJobId(given: string): string {
  if (given !== '' && !/^\d+$/.test(given) && !given.includes(':')) return given;
  throw new InvalidArgumentError('Give a text that is not a number and has no ":", like nightly-2026-11-23.');
}

/** Adds the job, and reports that it waits for room if that takes long. */
async function addReporting(queue: WriteQueue, request: JobRequestInput, options: Sorted['inQueue']): Promise<string> {
  const notice = setTimeout(() => say('waiting for room in the queue: penstock capacity shows its limit'), WAITING_MS);
  try {
    return await queue.add(request, options);
  } finally {
    clearTimeout(notice);
  }
}

async function enqueue(path: string | undefined, options: EnqueueOptions): Promise<void> {
  const { json, described, inQueue, store: storeOptions } = sort(options);
  const request = await requestFrom(path, json, described);
  judgeRequest(request);
  await onQueue(storeOptions, async (queue) => {
    const id = await addReporting(queue, request, inQueue);
    print(id);
    const target = request.target?.host;
    await sayStandstill(queue, target);
    if ((await queue.workers(target)) === 0) {
      const flags = storeFlags(storeOptions, process.env);
      const one = target === undefined || target === ANY_HOST;
      if (one) say(`no host serves this queue now; start one with: penstock host${flags}`);
      else
        say(
          `the host ${target} is not there now; start it on its machine with: penstock host --name ${target}${flags}`,
        );
    }
  });
}

async function requestFrom(
  path: string | undefined,
  json: string | undefined,
  described: RequestOptions,
): Promise<JobRequestInput> {
  if (json === undefined) {
    if (path === undefined) throw new UsageError('name the file to write, or give the whole request with --request');
    return requestOf(path, described);
  }
  if (path !== undefined || Object.keys(described).length > 0) {
    throw new UsageError('--request is the whole request: give it alone, or the path and options alone');
  }
  if (json === '-') return parseJson(textOf(await buffer(process.stdin)));
  return parseJson(json.startsWith('@') ? textOf(readFileSync(json.slice(1))) : json);
}

/** JSON is UTF-8; what is none would name another file. */
function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  throw new UsageError('--request is not JSON: it is not UTF-8');
}

function parseJson(json: string): JobRequestInput {
  try {
    return JSON.parse(json) as JobRequestInput; // judged by the contract, whatever it is
  } catch (error) {
    throw new UsageError(`--request is not JSON: ${(error as Error).message}`);
  }
}
