// The soak, short: a few trials of each scenario with a fixed seed, so that `npm run soak` itself is known to work.
import { afterEach, expect, test } from '@jest/globals';
import { Findings } from '../soak/findings.ts';
import { soakFreeze } from '../soak/freeze.ts';
import { soakKill } from '../soak/kill.ts';
import { soakRedis } from '../soak/redis.ts';
import { soakSteering } from '../soak/steering.ts';

const SEED = 20_260_104;
const SIZE = 50_331_648;

const said: string[] = [];
const findings = new Findings((line) => said.push(line));

afterEach(() => {
  // What was tried, and with which result, belongs to a failure's report.
  if (findings.violations.length > 0) process.stdout.write(`${said.join('\n')}\n`);
  said.length = 0;
  findings.violations.length = 0;
});

test(`a host killed at random moments of a write: every job ends exactly right (seed ${SEED})`, async () => {
  const settings = { seed: SEED, trials: 3, sizeBytes: SIZE, resumes: null };
  await soakKill({ ...settings, ways: ['atomic', 'in-place'], sources: ['pattern', 'file'] }, findings);
  expect(findings.violations).toEqual([]);
  expect(said.at(-1)).toMatch(/^3 kills during writes/);
}, 180_000);

test(`Redis killed at random moments: no acknowledged job is lost, and no file is wrong (seed ${SEED})`, async () => {
  await soakRedis({ seed: SEED, trials: 2, sizeBytes: SIZE }, findings);
  expect(findings.violations).toEqual([]);
  expect(said.at(-1)).toMatch(/^2 kills of Redis; \d+ jobs acknowledged/);
}, 180_000);

test(`a host stopped beyond its lock writes nothing after it has woken (seed ${SEED})`, async () => {
  await soakFreeze({ seed: SEED, trials: 2, sizeBytes: SIZE }, findings);
  expect(findings.violations).toEqual([]);
  expect(said.at(-1)).toMatch(/^2 hosts stopped/);
}, 180_000);

test(`orders to running writes are carried out while the disk is saturated (seed ${SEED})`, async () => {
  // How soon is the soak's own to judge: here the machine may be busy with other tests.
  await soakSteering({ seed: SEED, trials: 2, sizeBytes: SIZE, p99MsMax: 30_000 }, findings);
  expect(findings.violations).toEqual([]);
  expect(said.join('\n')).toMatch(/all orders: \d+ orders/);
}, 180_000);
