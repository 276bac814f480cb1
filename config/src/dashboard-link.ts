/**
 * The way into a dashboard: links that its gateway takes once, within ten minutes. A process that may read the
 * gateway's key can make one: the key is in the data directory, readable by its owner alone, and new at each start.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Where a link leads; the token follows as `?token=`. */
export const LINK_PATH = '/open';
export const LINK_MINUTES = 10;

/** A dashboard that runs, and what its links are signed with. */
export interface DashboardDoor {
  /** http://127.0.0.1:4460 */
  origin: string;
  key: Buffer;
}

export const newDashboardKey = (): Buffer => randomBytes(32);

/** A new link: it carries its end and a random number, and is signed. */
export function dashboardLink({ origin, key }: DashboardDoor, nowMs: number = Date.now()): string {
  const claim = `${Math.floor(nowMs / 1000) + LINK_MINUTES * 60}.${randomBytes(16).toString('base64url')}`;
  return `${origin}${LINK_PATH}?token=${claim}.${signatureOf(claim, key)}`;
}

/** The end of a token that `key` has signed, in milliseconds since the epoch; null for any other. */
export function tokenEnd(token: string, key: Buffer): number | null {
  const [, claim = '', seconds, signature = ''] = /^((\d{1,12})\.[\w-]{22})\.([\w-]{43})$/.exec(token) ?? [];
  // As texts: several of them spell the same bytes, and a link that was used must have one spelling.
  const given = Buffer.from(signature);
  const right = Buffer.from(signatureOf(claim, key));
  return given.length === right.length && timingSafeEqual(given, right) ? Number(seconds) * 1000 : null;
}

const signatureOf = (claim: string, key: Buffer): string => createHmac('sha256', key).update(claim).digest('base64url');

const FOLDER = 'dashboard';

/** Leaves the key in the data directory, for `penstock link`; returns what takes it away again. */
export function publishDoor(dataDirectory: string, { origin, key }: DashboardDoor): () => void {
  const folder = join(dataDirectory, FOLDER);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!isOurs(lstatSync(folder))) {
    throw Object.assign(new Error(`${folder} is no directory of this user’s alone, and links would be everybody's`), {
      code: 'EACCES',
      hint: `remove it, or: chown ${process.getuid?.()} and chmod 700 ${folder}`,
    });
  }
  const { host } = new URL(origin);
  const file = join(folder, `${host.replaceAll(/[^\w.-]/g, '_')}.json`);
  const fresh = `${file}.${process.pid}.part`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, `${JSON.stringify({ origin, key: key.toString('base64url') })}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, file);
  return () => {
    // A gateway that has taken the same port since has a key of its own there.
    if (readDoor(file)?.key.equals(key) === true) rmSync(file, { force: true });
  };
}

/** Dashboards of the data directory, those of gateways that were killed among them. */
export function readDoors(dataDirectory: string): DashboardDoor[] {
  const folder = join(dataDirectory, FOLDER);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // no gateway was ever run here
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => readDoor(join(folder, name)))
    .filter((door) => door !== null);
}

function readDoor(file: string): DashboardDoor | null {
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null; // its gateway has just ended
    throw error;
  }
  try {
    if (!isOurs(fstatSync(fd))) return null; // another user's, who would like us to open his link
    const { origin, key } = JSON.parse(readFileSync(fd, 'utf8')) as { origin: string; key: string };
    return { origin, key: Buffer.from(key, 'base64url') };
  } finally {
    closeSync(fd);
  }
}

/** No other user can have written or read it, except root. */
const isOurs = ({ uid, mode }: { uid: number; mode: number }): boolean =>
  uid === process.getuid?.() && (mode & 0o077) === 0;
