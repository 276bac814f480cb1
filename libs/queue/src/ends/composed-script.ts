/**
 * BullMQ's script that ends a job, as a function that one script calls for many jobs. Nothing of BullMQ's text is changed:
 * what it defines is defined once a call, and its statements are the function, which gets the KEYS and ARGV of one job at a
 * time. The job that one end fetches is there before the next end begins.
 */
import { createHash } from 'node:crypto';

/** Of BullMQ's script: what it takes, and which of its keys differ from job to job. */
export const KEY_COUNT = 14;
export const ARGUMENT_COUNT = 9;
/** The set of what has ended, the job, the metrics. */
export const OWN_KEYS: readonly number[] = [10, 11, 12];
/** The argument that is the job's result or its error. */
export const RESULT_ARGUMENT = 3;

/** The script that was proven to end jobs in a row as it does one by one: whether another does is not known. */
const PROVEN_VERSION = '6.7.0';
const PROVEN_SHA1 = '69666e69dd5621df59067a03de685e55a486560d';
/** Of the proven script: the first of its statements. Before it stand functions alone, which keep nothing between ends. */
const FIRST_STATEMENT = '\nlocal jobIdKey = KEYS[12]\n';

// KEYS: those of the first end, then of each other the three that are its own. ARGV: nine of each end.
// Replies with one answer per end, an error among them if it was refused: pcall keeps the others going. Redis has it return
// an error as its text, which begins with a code unless the error is Lua's own.
const LOOP = `
local keys, answers = {}, {}
for at = 1, 14 do keys[at] = KEYS[at] end
for nth = 1, #ARGV / 9 do
  if nth > 1 then
    local own = 14 + (nth - 2) * 3
    keys[11], keys[12], keys[13] = KEYS[own + 1], KEYS[own + 2], KEYS[own + 3]
  end
  local ok, answer = pcall(endJob, keys, {unpack(ARGV, nth * 9 - 8, nth * 9)})
  if not ok and type(answer) ~= 'table' then
    answer = tostring(answer)
    answer = {err = string.find(answer, '^%u+ ') and answer or 'ERR ' .. answer}
  end
  if answer == nil then answer = false end
  answers[nth] = answer
end
return answers`;

/** Scripts by their names, as ioredis keeps those that were defined. */
export type DefinedScripts = Readonly<Record<string, { readonly lua: string; readonly numberOfKeys: number | null }>>;

/** The script that ends many jobs, or why there is none. */
export type Composed = { readonly lua: string } | { readonly why: string };

/** Composes it of the script that `scripts`, those of BullMQ's client, have for one end. */
export function composedScript(scripts: DefinedScripts | undefined): Composed {
  const [name, script] = Object.entries(scripts ?? {}).find(([any]) => any.startsWith('moveToFinished:')) ?? [];
  if (name === undefined || script === undefined) return { why: 'the script of BullMQ is not to be found' };
  const version = name.slice(name.indexOf(':') + 1);
  if (version !== PROVEN_VERSION) return { why: `BullMQ is ${version}, and not ${PROVEN_VERSION}` };
  const { lua, numberOfKeys } = script;
  const isProven = numberOfKeys === KEY_COUNT && createHash('sha1').update(lua).digest('hex') === PROVEN_SHA1;
  if (!isProven) return { why: `the script of BullMQ ${version} is not the one that is known` };
  const at = lua.indexOf(FIRST_STATEMENT);
  // Some thirty functions: to make them anew for each end took Redis a tenth of its time.
  return { lua: `${lua.slice(0, at)}\nlocal function endJob(KEYS, ARGV)${lua.slice(at)}\nend\n${LOOP}` };
}
