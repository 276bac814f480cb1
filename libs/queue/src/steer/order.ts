/** The orders to a job (cancel, pause, resume, limit): as they stand in Redis, and as they travel to the host that has it. */
import type { Cancellation } from '@penstock/contract';

/** All orders to one job: the newest of each kind. */
export interface Order {
  /** Grows with each order: of two the one with the higher is the newer. */
  rev: number;
  paused: boolean;
  /** Bytes per second; 0 is no limit. Absent: the limit of its request. */
  limit?: number;
  cancel?: Cancellation;
  /** The job was steered before its first attempt: `attemptsStarted` is one too high, the script raised it. */
  early: boolean;
  /** The job is there to remove what this one left (leftovers.ts). */
  of?: string;
  /** How many attempts that one had. */
  starts?: number;
}

/** The order as the script encodes it; null if there is none. */
export function parseOrder(json: string | null): Order | null {
  if (json === null) return null;
  const { rev, paused, limit, cancel, early, of, starts } = JSON.parse(json) as {
    rev: number;
    paused?: boolean;
    limit?: string;
    cancel?: Cancellation;
    early?: boolean;
    of?: string;
    starts?: number;
  };
  return {
    rev,
    paused: paused === true,
    ...(limit === undefined ? {} : { limit: Number(limit) }), // as text: Lua would round it
    ...(cancel === undefined ? {} : { cancel }),
    early: early === true,
    ...(of === undefined ? {} : { of }),
    ...(starts === undefined ? {} : { starts }),
  };
}

/** Limits of a whole host and its roots, in bytes per second; 0 is no limit. */
export interface StandingLimits {
  /** Of this host; absent: that of its settings. */
  host?: number;
  /** By name, of this host's share of each root. */
  roots: Record<string, number>;
}

/** The fields of the hash of standing limits. */
export const limitField = {
  host: (host: string): string => `host:${host}`,
  /** On every host that has it, or on one. */
  root: (root: string, host?: string): string => (host === undefined ? `root:${root}` : `root:${root}@${host}`),
};

/** The limits in `fields` for `host`: that of a root on this host takes precedence over one on all. */
export function limitsFor(host: string, fields: Record<string, string>): StandingLimits {
  const limits: StandingLimits = { roots: {} };
  const own = fields[limitField.host(host)];
  if (own !== undefined) limits.host = Number(own);
  const onAll = Object.entries(fields).filter(([field]) => /^root:[^@]+$/.test(field));
  const here = Object.entries(fields).filter(([field]) => field.startsWith('root:') && field.endsWith(`@${host}`));
  for (const [field, rate] of [...onAll, ...here]) limits.roots[field.slice(5).split('@')[0]!] = Number(rate);
  return limits;
}

/** Parts of the queue's keys and the topics of its relay. */
export const LIMITS_KEY = 'steer:limits';
export const RELAY_NAMESPACE = 'penstock';
export const JOB_TOPIC = 'steer.job';
export const LIMITS_TOPIC = 'steer.limits';
