/**
 * One attempt at a job, step by step: its roots judged, its turn at a file, its space reserved, its slot on a thread, and
 * its end. A write is begun again if its root has become another directory meanwhile.
 */
import {
  type JobRequest,
  type ShortResult,
  WriteAbortedError,
  type WriteProgress,
  isBulkResult,
} from '@penstock/contract';
import type { Fetcher } from '@penstock/fetcher';
import type { DevicePools, RunningWrite, SlotTurn } from '@penstock/writer';
import type { WriteJobInfo } from '@penstock/queue';
import { type Admission, type Applicant, NOTHING_RESERVED, type Ticket } from './admission/admission.ts';
import type { FallbackLog } from './fallbacks.ts';
import { FileTurns, turnOf, wantedFile } from './file-turns.ts';
import { withManifest } from './manifest.ts';
import type { RootHealth } from './roots/health.ts';
import type { Sampling } from './sampling.ts';
import { stopWrite } from './stopping.ts';

/** How often a write is begun while its root is another directory each time. */
const BEGINS_MAX = 3;

type Report = (progress: WriteProgress) => void;

export interface AttemptsOptions {
  /** The name of the host. */
  host: string;
  pool: DevicePools;
  health: RootHealth;
  admission: Admission;
  sampling: Sampling;
  fetcher: Fetcher;
  fallbacks: FallbackLog;
  stopGraceMs: number;
}

/** An attempt that has been let through. */
interface Admitted {
  job: WriteJobInfo;
  jobName: string;
  ticket: Ticket;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #turns: FileTurns;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#turns = new FileTurns(options.pool.jobSlots);
  }

  /**
   * Carries out `request`, and resolves with its result.
   * @throws (rejects with) what it failed with; RootError if a root is at fault, and not the job
   */
  async perform(request: JobRequest, job: WriteJobInfo, report: Report): Promise<ShortResult> {
    const { health, pool } = this.#options;
    const runnable = await withManifest(request, job);
    const jobName = `${job.id}@${job.createdAtMs}`;
    const refusal = health.refusalOf(runnable);
    if (refusal !== null) throw refusal;
    const silence = pool.silenceOf(runnable);
    if (silence !== null) throw silence;
    const file = wantedFile(runnable);
    const write = (): Promise<ShortResult> => this.#beginUntilSteady(runnable, job, jobName, report);
    const turn = file === null ? null : await this.#turns.take(file, turnOf(runnable, job));
    try {
      return await (turn === null ? write() : turn.hold(write));
    } finally {
      turn?.end();
    }
  }

  async #beginUntilSteady(
    request: JobRequest,
    job: WriteJobInfo,
    jobName: string,
    report: Report,
  ): Promise<ShortResult> {
    for (let begins = 1; ; begins += 1) {
      // A second time only if a root was to be opened anew.
      const result = await this.#begin(request, job, jobName, begins, report);
      if (result !== 'again') return result;
    }
  }

  /** 'again' if a root has another directory at its path than the write was begun in. */
  async #begin(
    request: JobRequest,
    job: WriteJobInfo,
    jobName: string,
    begins: number,
    report: Report,
  ): Promise<ShortResult | 'again'> {
    const { admission, health } = this.#options;
    const applicant = { request, jobName, starts: job.starts };
    let ticket: Ticket | null = null;
    try {
      ticket = admission.tryAdmit(request) ?? (await this.#admit(applicant, job));
      const result = await this.#write(request, { job, jobName, ticket }, report);
      if (!isBulkResult(result) || result.failed === 0) health.succeeded(request);
      else if (await this.#isToBeginAgain(request, { result }, begins)) return 'again';
      return result;
    } catch (error) {
      if (await this.#isToBeginAgain(request, { error }, begins)) return 'again';
      throw error;
    } finally {
      ticket?.release();
    }
  }

  /** @throws RootError if a root is at fault, and not the job */
  async #isToBeginAgain(
    request: JobRequest,
    outcome: { error: unknown } | { result: ShortResult },
    begins: number,
  ): Promise<boolean> {
    const { health } = this.#options;
    const fault = await health.judge(request, outcome);
    if (fault instanceof Error) throw fault;
    if (fault === 'again' && begins === BEGINS_MAX) throw health.unsteady(request);
    return fault === 'again';
  }

  /** Waits for a closer look at the disk; no longer than this host has the job. */
  async #admit(applicant: Applicant, job: WriteJobInfo): Promise<Ticket> {
    const admitted = this.#options.admission.admit(applicant);
    try {
      return await Promise.race([admitted, abortOf(job)]);
    } catch (error) {
      admitted.then(
        (late) => late.release(),
        () => {}, // thrown by the race, or of no interest any more
      );
      // A cancelled one still goes to a thread: what an earlier attempt left is to be removed, and nothing is written.
      if (isCancel(error)) return NOTHING_RESERVED;
      throw error;
    }
  }

  async #write(request: JobRequest, { job, jobName, ticket }: Admitted, report: Report): Promise<ShortResult> {
    const { host, pool, sampling, fallbacks, stopGraceMs } = this.#options;
    const slot = pool.enter(request);
    if (slot !== null) await this.#awaitSlot(slot, job);
    const running = this.#start(request, jobName, job);
    const { block } = running;
    ticket.follow(block);
    const sampled = sampling.add(request.root, job, block, report);
    let ended = false; // from then on the block is another write's
    let forgetStop: () => void = () => {};
    try {
      block.holdFor(job.lockLeftMs);
      const ownLimit = request.limit?.bytesPerSecond ?? 0;
      if (ownLimit > 0) block.rate.set(ownLimit);
      let hasBegun = false;
      job.whenAborted((reason) => {
        if (!ended) forgetStop = stopWrite(running, reason, stopGraceMs, hasBegun);
      });
      hasBegun = true;
      job.whenSteered(({ paused, limit = ownLimit }) => {
        if (ended) return;
        block.pause(paused);
        if (block.rate.bytesPerSecond !== limit) block.rate.set(limit);
        running.wake();
        sampling.sampleSoon(sampled);
      });
      const result = await running.done;
      fallbacks.note(request.root, result);
      sampling.reportEnd(sampled);
      return { ...result, host };
    } finally {
      ended = true;
      forgetStop();
      sampling.remove(sampled);
    }
  }

  /** Waits until its file system's threads can take one more write; no longer than this host has the job. */
  async #awaitSlot(slot: SlotTurn, job: WriteJobInfo): Promise<void> {
    try {
      await Promise.race([slot.granted, abortOf(job)]);
    } finally {
      slot.leave();
    }
  }

  #start(request: JobRequest, jobName: string, job: WriteJobInfo): RunningWrite {
    const { pool, fetcher } = this.#options;
    const { starts, willRetry } = job;
    // Files that several writes change, and partial files that are left, name the job by this.
    const { reference } = job;
    if ('files' in request || request.source.kind !== 'url') return pool.run(request, jobName, starts, reference);
    const running = pool.runStream(request, jobName, starts, willRetry, reference);
    fetcher.fetch({ source: request.source, size: request.size, inlet: running.inlet });
    return running;
  }
}

/** Rejects with the reason once `job` is aborted. */
const abortOf = (job: WriteJobInfo): Promise<never> =>
  new Promise((_resolve, reject) => {
    job.whenAborted(reject);
  });

const isCancel = (reason: unknown): boolean => reason instanceof WriteAbortedError && reason.reason === 'cancel';
