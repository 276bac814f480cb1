/**
 * Who may use the dashboard: a browser that opened a link of this gateway (config/src/dashboard-link.ts). The link is
 * exchanged for a cookie, which is valid until the gateway ends or it was not used for a day.
 */
import { createHash, randomBytes } from 'node:crypto';
import { tokenEnd } from '@penstock/config';

const IDLE_MS = 86_400_000;
/** Browsers that are let in at a time; beyond that the longest unused one has to open a new link. */
const SESSIONS_MAX = 100;

interface Session {
  /** The user whose connections it is valid for; null if the kernel does not show it. */
  user: number | null;
  usedAtMs: number;
}

/** Asks whose connection it is; only once a link or cookie was presented, for it costs as much as the answer. */
export type Whose = () => Promise<number | null>;

/** Why a link opens nothing. */
export type Refusal = 'unknown' | 'expired' | 'used';

export class Sessions {
  readonly #key: Buffer;
  readonly #now: () => number;
  /** By the hash of the cookie's value: what is in memory opens nothing, and the time of a look-up reveals nothing. */
  readonly #open = new Map<string, Session>();
  /** Tokens that were used, until they would have ended. */
  readonly #used = new Map<string, number>();

  constructor(key: Buffer, now: () => number = Date.now) {
    this.#key = key;
    this.#now = now;
  }

  /** Takes a link's token; resolves with the value of a new cookie, for connections of the same user. */
  async exchange(token: string, whose: Whose): Promise<{ value: string } | { refusal: Refusal }> {
    const now = this.#now();
    const endMs = tokenEnd(token, this.#key);
    if (endMs === null) return { refusal: 'unknown' };
    if (endMs <= now) return { refusal: 'expired' };
    for (const [other, otherEndMs] of this.#used) if (otherEndMs <= now) this.#used.delete(other);
    if (this.#used.has(token)) return { refusal: 'used' };
    this.#used.set(token, endMs);
    const user = await whose();
    const value = randomBytes(32).toString('base64url');
    this.#open.set(hashOf(value), { user, usedAtMs: now });
    this.#dropBeyond(SESSIONS_MAX);
    return { value };
  }

  /** Whether the cookie's value is one of ours, used by the user it was given to. */
  async holds(value: string, whose: Whose): Promise<boolean> {
    const hash = hashOf(value);
    const session = this.#open.get(hash);
    if (session === undefined || session.user !== (await whose())) return false;
    const now = this.#now();
    if (!this.#open.delete(hash) || now - session.usedAtMs > IDLE_MS) return false; // dropped meanwhile, or too old
    session.usedAtMs = now;
    this.#open.set(hash, session); // behind all that were used before
    return true;
  }

  #dropBeyond(count: number): void {
    for (const hash of this.#open.keys()) {
      if (this.#open.size <= count) return;
      this.#open.delete(hash);
    }
  }
}

const hashOf = (value: string): string => createHash('sha256').update(value).digest('base64');
