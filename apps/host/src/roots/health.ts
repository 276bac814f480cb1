/**
 * Roots that cannot be used, whatever is written there: read-only, unmounted, gone, or failing one write after another.
 * Their jobs go back to the queue for another host; the host looks again until they are well.
 */
import { type JobRequest, type ShortResult, RootError, type WireError, hintFor, rootsOf } from '@penstock/contract';
import type { RootConfig, RootMounts } from '@penstock/disk';
import { type Condition, type Inspect, inspectRoot } from './inspect.ts';
import { isOfDisk, suspectsOf } from './suspects.ts';

/** How often a root that cannot be used is looked at. */
const LOOK_MS = 2000;
/** So many writes that fail in a row are the disk's fault. */
const FAILURES_MAX = 3;

interface Sickness {
  reason: string;
  hint: string | undefined;
  /**
   * If the root looks well and yet writes failed: when the next write is let through, in time of performance.now(). Else
   * null.
   */
  tryAtMs: number | null;
}

interface Patient {
  root: RootConfig;
  sickness: Sickness | null;
  /** Writes that failed by the disk since the last that ended well. */
  failures: number;
  /** Whether files could be made right in it when the host began; undefined before it is known. */
  wasOpen: boolean | undefined;
  looking: Promise<Condition> | null;
  /** Its disk does not answer: it is asked nothing until setSilent() changes that. */
  silent: boolean;
}

export interface RootHealthOptions {
  roots: readonly RootConfig[];
  host: string;
  mounts: RootMounts;
  /** Names of roots that have not answered yet: setSilent() is called when they have. */
  silent?: readonly string[];
  /** Called with a line for the log when a root cannot be used any more, and when it can again. */
  onNote?: ((text: string) => void) | undefined;
  /** Called with the names of all roots that cannot be used, whenever they change. */
  onChange?: ((sick: string[]) => void) | undefined;
  /** For tests. */
  inspect?: Inspect;
}

export class RootHealth {
  readonly #options: RootHealthOptions;
  readonly #patients: ReadonlyMap<string, Patient>;
  /** Roots that are sick, or whose last write failed by the disk: for most writes there is nothing to be done. */
  readonly #noted = new Set<Patient>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: RootHealthOptions) {
    this.#options = options;
    const blank = { sickness: null, failures: 0, wasOpen: undefined, looking: null, silent: false };
    this.#patients = new Map(options.roots.map((root) => [root.name, { root, ...blank }]));
    for (const [name, patient] of this.#patients) {
      if (options.silent?.includes(name) !== true) void this.#begin(patient);
    }
    // Later than this constructor: the callbacks may use what its caller assigns it to.
    queueMicrotask(() => {
      for (const name of options.silent ?? []) this.setSilent(name, 'it has not answered since this host began');
    });
  }

  /** True of a root whose disk does not answer: it is to be asked nothing. */
  isSilent(name: string): boolean {
    return this.#patients.get(name)?.silent === true;
  }

  /** The disk of the root `name` does not answer, for `reason`; null: it does again. */
  setSilent(name: string, reason: string | null): void {
    const patient = this.#patients.get(name);
    if (patient === undefined || patient.silent === (reason !== null)) return;
    patient.silent = reason !== null;
    if (reason !== null) {
      this.#sicken(patient, 'ETIMEDOUT', reason);
      return;
    }
    this.#recover(patient);
    if (patient.wasOpen === undefined) void this.#begin(patient);
  }

  /** Why this host cannot carry out `request` now, or null. */
  refusalOf(request: JobRequest): RootError | null {
    const { mounts } = this.#options;
    mounts.refresh();
    if (this.#noted.size === 0 && !mounts.hasGone) return null;
    for (const name of rootsOf(request)) {
      const patient = this.#patients.get(name);
      if (patient === undefined) continue; // the thread that opens it refuses it
      this.#takeMount(patient);
      const { sickness } = patient;
      if (sickness !== null && !maybeTried(sickness)) return this.#errorOf(patient, sickness);
    }
    return null;
  }

  /** A write ended well. */
  succeeded(request: JobRequest): void {
    if (this.#noted.size === 0) return;
    for (const name of rootsOf(request)) {
      const patient = this.#patients.get(name);
      if (patient === undefined) continue;
      patient.failures = 0;
      // A write that was begun before its root fell ill proves something only if failing writes were what was wrong.
      if (patient.sickness === null || patient.sickness.tryAtMs !== null) this.#recover(patient);
    }
  }

  /**
   * Judges a write that failed, or a bulk of which files did: a RootError if a root is at fault, and the job is to be put
   * back; 'again' if a root is to be opened anew and the write is begun anew with it; null if it is the job's own fault.
   */
  async judge(
    request: JobRequest,
    outcome: { error: unknown } | { result: ShortResult },
  ): Promise<RootError | 'again' | null> {
    let again = false;
    for (const { name, error } of suspectsOf(request, outcome, (root) => this.#patients.get(root)?.root.path)) {
      // The first that is found is enough.
      const found = await this.#examine(this.#patients.get(name)!, error);
      if (found instanceof RootError) return found;
      again ||= found === 'again';
    }
    return again ? 'again' : null;
  }

  /** The error of a write that was begun again in vain: it waits until its root stays what it is. */
  unsteady(request: JobRequest): RootError {
    const root = rootsOf(request)[0] ?? '';
    const reason = 'another directory stood at its path each time that the write was begun';
    return new RootError({ root, host: this.#options.host, reason });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #examine(patient: Patient, error: WireError): Promise<RootError | 'again' | null> {
    const { name, path } = patient.root;
    await this.#options.mounts.recheck(name);
    if (this.#takeMount(patient)) return this.#errorOf(patient, patient.sickness!);
    if (error.code === 'ESTALE' && error.path === path) return 'again';
    const fault = this.#faultIn(patient, await this.#lookAt(patient));
    if (fault !== null) return this.#errorOf(patient, this.#sicken(patient, fault.code, fault.reason));
    if (!isOfDisk(error.code) || (error.code === 'EROFS' && this.#isElsewhere(name, error.path))) return null;
    patient.failures += 1;
    this.#noted.add(patient);
    if (patient.failures >= FAILURES_MAX) {
      const reason = `${error.message.split('. ')[0]}; ${patient.failures} writes failed in a row`;
      return this.#errorOf(patient, this.#sicken(patient, error.code, reason, performance.now() + LOOK_MS));
    }
    if (error.code !== 'EROFS') return null;
    // Read-only for a moment only, or by its journal alone: another attempt is right either way.
    return new RootError({ root: name, host: this.#options.host, reason: error.message });
  }

  /** True if the file is on another file system than the root's own, which may be read-only by intent. */
  #isElsewhere(name: string, path: string | undefined): boolean {
    const { mounts } = this.#options;
    if (path === undefined || !mounts.isDivided(name)) return false;
    return mounts.mountBelow(name, path)?.id !== mounts.mountOf(name)?.id;
  }

  /** A new look: one that is under way may have been answered before the failure. */
  async #lookAt(patient: Patient): Promise<Condition> {
    await patient.looking;
    patient.looking ??= (this.#options.inspect ?? inspectRoot)(patient.root).finally(() => {
      patient.looking = null;
    });
    return patient.looking;
  }

  async #begin(patient: Patient): Promise<void> {
    const condition = await this.#lookAt(patient);
    patient.wasOpen = condition.isOpen;
    if (condition.fault !== null) this.#sicken(patient, condition.fault.code, condition.fault.reason);
  }

  #faultIn({ root, wasOpen }: Patient, { fault, isOpen }: Condition): Condition['fault'] {
    if (fault !== null || isOpen || wasOpen !== true || !root.writable) return fault;
    return { code: 'EACCES', reason: 'it may not be written any more: permission denied' };
  }

  /** Records whether what was mounted at the root is gone. Returns true if so. */
  #takeMount(patient: Patient): boolean {
    const gone = this.#options.mounts.goneFrom(patient.root.name);
    if (gone === null) return false;
    if (patient.sickness === null) {
      const reason = `what was mounted there is gone: ${gone.fileSystem} on ${gone.source}`;
      this.#sicken(patient, 'ENODEV', reason);
    }
    return true;
  }

  #sicken(patient: Patient, code: string, reason: string, tryAtMs: number | null = null): Sickness {
    const { name, path } = patient.root;
    const was = patient.sickness;
    patient.sickness = { reason, hint: hintFor('openat', code), tryAtMs };
    this.#noted.add(patient);
    this.#timer ??= setInterval(() => void this.#lookAgain(), LOOK_MS);
    if (was === null) {
      this.#options.onNote?.(`root ${name} cannot be used: ${reason} (${path}); its jobs wait, or go to other hosts`);
      this.#notify();
    }
    return patient.sickness;
  }

  #recover(patient: Patient): void {
    this.#noted.delete(patient);
    patient.failures = 0;
    if (patient.sickness === null) return;
    patient.sickness = null;
    this.#options.onNote?.(`root ${patient.root.name} can be used again`);
    if (this.#notify().length === 0) this.close();
  }

  #notify(): string[] {
    const sick = [...this.#patients.values()].filter(({ sickness }) => sickness !== null).map(({ root }) => root.name);
    this.#options.onChange?.(sick);
    return sick;
  }

  async #lookAgain(): Promise<void> {
    if (this.#looking) return; // one that does not answer is not asked twice
    this.#looking = true;
    await Promise.all([...this.#noted].map((patient) => this.#follow(patient)));
    this.#looking = false;
  }

  async #follow(patient: Patient): Promise<void> {
    if (patient.sickness === null || patient.sickness.tryAtMs !== null || patient.silent) return;
    await this.#options.mounts.recheck(patient.root.name);
    if (this.#takeMount(patient)) return;
    const fault = this.#faultIn(patient, await this.#lookAt(patient));
    if (fault === null) this.#recover(patient);
    else this.#sicken(patient, fault.code, fault.reason);
  }

  #errorOf({ root }: Patient, { reason, hint }: Sickness): RootError {
    return new RootError({ root: root.name, host: this.#options.host, reason, hint });
  }
}

/** True for the one write that is let through to find out whether writes succeed again. */
function maybeTried(sickness: Sickness): boolean {
  const now = performance.now();
  if (sickness.tryAtMs === null || now < sickness.tryAtMs) return false;
  sickness.tryAtMs = now + LOOK_MS;
  return true;
}
