/**
 * Lets a job through to a thread once there is room for what it will write: free on its file system, and not promised
 * to another job of this host. A job that finds none is refused with ENOSPC, and waits in the queue (see libs/queue,
 * wait/verdict.ts), unless space is becoming free; one that no such disk could ever hold is refused for good.
 */
import { constants } from 'node:os';
import { IoError, type JobRequest, PHASES, formatBytes, inTime } from '@penstock/contract';
import type { JobBlock } from '@penstock/matrix';
import type { RootConfig } from '@penstock/disk';
import { type AskSpace, type FileSystem, answerInTime, type Reading, type Space } from './file-system.ts';
import type { Reservation } from './ledger.ts';
import { bytesThere, isBulk, type Need, needsOf } from './needs.ts';
import { type Mounts, type Place, Places } from './places.ts';

const { EFBIG, ENOSPC } = constants.errno;

/** An older answer is enough for a write that leaves, with all that is promised, three quarters of what is free. */
const AMPLE_SHARE = 4;

/** How long a job waits for the next file to be freed before it is refused, and tried again later. */
const FREED_MS_MAX = 10_000;

const WRITING = PHASES.indexOf('writing');

/** A job that has been let through. */
export interface Ticket {
  /** The control block of the attempt, which shows when its space has been allocated. */
  follow(block: Pick<JobBlock, 'read'>): void;
  /** The attempt is over. Without effect the second time. */
  release(): void;
}

/** What the admission has to know of an attempt. */
export interface Applicant {
  request: JobRequest;
  /** Names the job as its partial files do, the same in every attempt. */
  jobName: string;
  /** The number of this attempt: above 1, a partial file of an earlier one may be there. */
  starts: number;
}

/** What a job needs of one file system, all its files together. */
interface Claim {
  place: Place;
  bytes: number;
  /** The largest of its files. */
  largestBytes: number;
  path: string;
  /** Each with the path of its root: several roots may be on one file system. */
  needs: { need: Need; rootPath: string }[];
}

/** The ticket of a job that takes no space. */
export const NOTHING_RESERVED: Ticket = { follow: () => {}, release: () => {} };

/** Resolves when the next file is freed whose blocks a write to `root` has let go of; null if there is none. */
export type WhenFreed = (root: string) => Promise<void> | null;

export class Admission {
  readonly #places: Places;
  readonly #whenFreed: WhenFreed;

  /**
   * @param ask what tests have instead of statfs
   * @param mounts absent: nothing is mounted below any root
   * @param whenFreed absent: nothing is ever being freed
   */
  constructor(ask?: AskSpace, mounts?: Mounts, whenFreed: WhenFreed = () => null) {
    this.#places = new Places(ask, mounts);
    this.#whenFreed = whenFreed;
  }

  /** From now on `root` is known to be on the device of this number. */
  add(root: RootConfig, device: number): void {
    if (root.writable) this.#places.add(root, device);
  }

  /** What is known of the space below the root named `root`, null if nothing is. @param renew whether it is asked again */
  spaceOf(root: string, renew: boolean): Space | null {
    return this.#places.ofRoot(root)?.shown(renew) ?? null;
  }

  /** Lets a job through at once if there is ample room, as for most jobs; null if that takes a closer look. */
  tryAdmit(request: JobRequest): Ticket | null {
    const needs = needsOf(request);
    const places = needs.map((need) => this.#places.known(need));
    if (places.includes(null)) return null;
    const claims = claimsOf(needs, places);
    if (claims.length === 0) return NOTHING_RESERVED; // also if the root is unknown: the thread refuses it
    return claims.every(({ place, bytes }) => isAmple(place, bytes)) ? grant(claims, isBulk(request)) : null;
  }

  /**
   * Lets a job through as soon as it is known that there is room.
   * @throws (rejects with) IoError: ENOSPC if there is none now, EFBIG if there never will be, ETIMEDOUT if the disk is silent
   */
  async admit(applicant: Applicant): Promise<Ticket> {
    const { request, jobName, starts } = applicant;
    const needs = needsOf(request);
    const wanted = claimsOf(needs, await Promise.all(needs.map((need) => this.#places.find(need))));
    const claims = await Promise.all(wanted.map((claim) => lessWhatIsThere(claim, jobName, starts)));
    const readings = await Promise.all(claims.map(({ place }) => place.fileSystem.look()));
    // From here to the grant nothing is awaited: no other job can come between.
    if (claims.every((claim, index) => faultOf(claim, readings[index]!) === null))
      return grant(claims, isBulk(request));
    // Much may have been allocated or freed since that answer: a job is refused by a new one alone.
    for (;;) {
      // Asked before the disk is: what is freed in between is in its answer.
      const freed = claims.map(({ place }) => this.#whenFreed(place.root.name));
      const newest = await Promise.all(claims.map(({ place }) => place.fileSystem.lookAgain()));
      const faults = claims.map((claim, index) => faultOf(claim, newest[index]!));
      const at = faults.findIndex((fault) => fault !== null);
      if (at === -1) return grant(claims, isBulk(request));
      await this.#becomingFree(faults[at]!, freed[at]!);
    }
  }

  /** Resolves when there may be more room than at the `fault`. @throws (rejects with) the fault if nothing is being freed */
  async #becomingFree(fault: IoError, freed: Promise<void> | null): Promise<void> {
    const refuse = (): never => {
      throw fault;
    };
    if (freed === null || fault.errno !== -ENOSPC) refuse();
    else await inTime(FREED_MS_MAX, freed, refuse);
  }
}

/** A claim for each file system; `places` are those of the needs. */
function claimsOf(needs: readonly Need[], places: readonly (Place | null | undefined)[]): Claim[] {
  const claims = new Map<FileSystem, Claim>();
  for (const [index, need] of needs.entries()) {
    const place = places[index];
    if (place == null) continue;
    const claim = claims.get(place.fileSystem);
    const path = `${place.root.path}/${need.path}`;
    const wanted = { need, rootPath: place.root.path };
    if (claim === undefined) {
      claims.set(place.fileSystem, { place, bytes: need.bytes, largestBytes: need.bytes, path, needs: [wanted] });
    } else {
      claim.bytes += need.bytes;
      claim.largestBytes = Math.max(claim.largestBytes, need.bytes);
      claim.needs.push(wanted);
      claim.path = place.root.path;
    }
  }
  return [...claims.values()];
}

function isAmple({ fileSystem }: Place, bytes: number): boolean {
  const reading = fileSystem.glance();
  if (reading === null) return false;
  return (fileSystem.ledger.promisedBytes + bytes) * AMPLE_SHARE <= reading.availableBytes;
}

/** The claim without what is allocated already. */
async function lessWhatIsThere(claim: Claim, jobName: string, starts: number): Promise<Claim> {
  const { place, needs } = claim;
  const mayBeThere = needs.filter(({ need: { inPlace } }) => starts > 1 || inPlace);
  if (mayBeThere.length === 0) return claim;
  const { path } = place.root;
  const there = await answerInTime(
    Promise.all(mayBeThere.map(({ need, rootPath }) => bytesThere(rootPath, need, jobName, starts))),
    path,
  );
  return { ...claim, bytes: claim.bytes - there.reduce((sum, bytes) => sum + bytes, 0) };
}

/** Why there is no room for `claim`, or null. */
function faultOf({ place, bytes, largestBytes, path }: Claim, reading: Reading): IoError | null {
  const { name, fileSystem } = place;
  const { availableBytes, keptBytes = 0, totalBytes } = reading;
  if (totalBytes === 0) return null; // a file system that does not report it
  const asked = { syscall: 'statfs', path, offset: 0, length: bytes };
  const leastBytes = Math.max(bytes, largestBytes);
  if (leastBytes > totalBytes) {
    const hint = `The whole file system of root ${name} holds ${formatBytes(totalBytes)}: ask for less, or name a root on a larger one.`;
    return new IoError({ ...asked, errno: -EFBIG, length: leastBytes, hint });
  }
  const { promisedBytes, holders } = fileSystem.ledger;
  if (bytes + promisedBytes <= availableBytes) return null;
  const promised =
    promisedBytes === 0
      ? ''
      : `, ${formatBytes(promisedBytes)} of it reserved by ${holders} other ${holders === 1 ? 'write' : 'writes'}`;
  const kept = keptBytes === 0 ? '' : `, besides ${formatBytes(keptBytes)} left to the queue's Redis`;
  const hint = `${formatBytes(bytes)} needed, ${formatBytes(availableBytes)} free on ${name}${promised}${kept}: free some, or name another root.`;
  return new IoError({ ...asked, errno: -ENOSPC, hint });
}

function grant(claims: readonly Claim[], bulk: boolean): Ticket {
  let block: Pick<JobBlock, 'read'> | null = null;
  let released = false;
  const held = claims.map(({ place, bytes }): [FileSystem, Reservation] => {
    // A single write allocates all of it before it writes; of a bulk each file in its turn, as its bytes are written.
    let begun = false; // a pause hides the phase
    const taken = (): number => {
      if (block === null) return 0;
      const { phase, bytesWritten } = block.read();
      if (bulk) return claims.length === 1 ? bytesWritten : 0;
      begun ||= bytesWritten > 0 || (phase !== 'paused' && PHASES.indexOf(phase) >= WRITING);
      return begun ? bytes : 0;
    };
    return [place.fileSystem, place.fileSystem.ledger.reserve(bytes, taken)];
  });
  return {
    follow: (followed) => {
      block = followed;
    },
    release: () => {
      if (released) return;
      released = true;
      block = null; // it is another attempt's from now on
      for (const [fileSystem, reservation] of held) fileSystem.ledger.release(reservation);
    },
  };
}
