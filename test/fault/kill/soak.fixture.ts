/** For tests: the soak with a fixed seed, a few trials of each scenario. */
import { afterEach, expect, test } from '@jest/globals';
import { Findings } from '../../soak/findings.ts';
import { soakFreeze } from '../../soak/freeze.ts';
import { WAYS, soakKill } from '../../soak/kill.ts';
import { soakRedis } from '../../soak/redis.ts';
import { soakSteering } from '../../soak/steering.ts';
import { soakSteps } from '../../soak/steps.ts';

const SEED = 20_260_104;

/** How often each scenario is tried; one that is left out has no test. */
export interface SoakTrials {
  kill: number;
  steps: number;
  redis: number;
  freeze: number;
  steering: number;
}

/** Declares a test of each scenario that `wanted` names. */
export function testSoak(wanted: Partial<SoakTrials>, sizeBytes: number): void {
  const trials: SoakTrials = { kill: 0, steps: 0, redis: 0, freeze: 0, steering: 0, ...wanted };
  const testOf = (scenario: keyof SoakTrials): typeof test | (() => void) =>
    wanted[scenario] === undefined ? () => {} : test;
  const said: string[] = [];
  const findings = new Findings((line) => said.push(line));

  afterEach(() => {
    // What was tried, and with which result, belongs to a failure's report.
    if (findings.violations.length > 0) process.stdout.write(`${said.join('\n')}\n`);
    said.length = 0;
    findings.violations.length = 0;
  });

  testOf('kill')(
    `a host killed at random moments of a write: every job ends exactly right (seed ${SEED})`,
    async () => {
      const settings = { seed: SEED, trials: trials.kill, sizeBytes, resumes: null };
      await soakKill({ ...settings, ways: WAYS, sources: ['pattern', 'file', 'url'], hosts: 2 }, findings);
      expect(findings.violations).toEqual([]);
      expect(said.at(-1)).toMatch(new RegExp(`^${trials.kill} kills? during writes`));
    },
    600_000,
  );

  testOf('steps')(
    `hosts that die at steps of their writes, several over one queue (seed ${SEED})`,
    async () => {
      await soakSteps({ seed: SEED, trials: trials.steps, sizeBytes: 4_194_304 }, findings);
      expect(findings.violations).toEqual([]);
      expect(said.at(-1)).toMatch(new RegExp(`^${trials.steps} trials: ${trials.steps * 7} writes`));
    },
    600_000,
  );

  testOf('redis')(
    `Redis killed at random moments: no acknowledged job is lost, and no file is wrong (seed ${SEED})`,
    async () => {
      await soakRedis({ seed: SEED, trials: trials.redis, sizeBytes }, findings);
      expect(findings.violations).toEqual([]);
      expect(said.at(-1)).toMatch(new RegExp(`^${trials.redis} kills? of Redis; \\d+ jobs acknowledged`));
    },
    600_000,
  );

  testOf('freeze')(
    `a host stopped beyond its lock writes nothing after it has woken (seed ${SEED})`,
    async () => {
      await soakFreeze({ seed: SEED, trials: trials.freeze, sizeBytes }, findings);
      expect(findings.violations).toEqual([]);
      expect(said.at(-1)).toMatch(new RegExp(`^${trials.freeze} hosts? stopped`));
    },
    600_000,
  );

  testOf('steering')(
    `orders to running writes are carried out while the disk is saturated (seed ${SEED})`,
    async () => {
      // How soon is the soak's own to judge: here the machine may be busy with other tests.
      await soakSteering({ seed: SEED, trials: trials.steering, sizeBytes, p99MsMax: 30_000 }, findings);
      expect(findings.violations).toEqual([]);
      expect(said.join('\n')).toMatch(/all orders: \d+ orders/);
    },
    600_000,
  );
}
