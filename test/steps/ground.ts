/** What stands on the disk before a write that is killed, and what must stand there after the attempt that ends it. */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { WriteRequestInput } from '@penstock/contract';
import type { ContentServer } from '../soak/served.ts';
import { type Case, type Files, contentOf, filesOf, holeOf, isAtomic, requestOf } from './cases.ts';

/** One write in a directory of its own. */
export interface Trial {
  name: string;
  directory: string;
  path: string;
  files: Files;
  request: WriteRequestInput;
}

const TARGET = 'target.dat';

export class Ground {
  readonly #data: string;
  readonly #sources: string;
  readonly #server: ContentServer;

  /** @param data the root that is written to, `sources` the one named "sources", that files are copied from */
  constructor(data: string, sources: string, server: ContentServer) {
    this.#data = data;
    this.#sources = sources;
    this.#server = server;
  }

  prepare(name: string, of: Case): Trial {
    const directory = join(this.#data, name);
    mkdirSync(directory);
    const files = filesOf(of);
    const path = join(directory, TARGET);
    if (files.before !== null) {
      writeFileSync(path, files.before);
      chmodSync(path, files.mode);
    }
    return { name, directory, path, files, request: requestOf(of, `${name}/${TARGET}`, this.#sourceOf(of)) };
  }

  #sourceOf(of: Case): WriteRequestInput['source'] {
    const { source, size, seed } = of;
    if (source === 'pattern') return { kind: 'pattern', pattern: 'random', seed };
    if (source.startsWith('url')) return { kind: 'url', url: this.#server.url(seed, size, source !== 'url-unsized') };
    const name = `${source}-${seed}-${size}`;
    const { start, end } = holeOf(of);
    const content = contentOf(of);
    const fd = openSync(join(this.#sources, name), 'w');
    writeSync(fd, content.subarray(0, start), 0, start, 0);
    writeSync(fd, content.subarray(end), 0, size - end, end);
    closeSync(fd);
    return { kind: 'file', root: 'sources', path: name };
  }
}

/** With an atomic publish whoever reads at any time sees the old file or the whole new one. */
export function judgeStanding(of: Case, { path, files }: Trial): string[] {
  if (!isAtomic(of)) return [];
  const found = existsSync(path) ? readFileSync(path) : null;
  const isOld = found === null ? files.before === null : files.before?.equals(found) === true;
  return isOld || found?.equals(files.after) === true ? [] : ['readers see neither the old file nor the new one'];
}

/** What is wrong with what a write has left that was ended; it is removed. */
export function judgeEnd({ directory, path, files }: Trial): string[] {
  const wrong: string[] = [];
  const found = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  if (!found.equals(files.after)) wrong.push(differenceOf(found, files.after));
  const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0;
  if (mode !== files.mode) wrong.push(`its mode is ${mode.toString(8)}, not ${files.mode.toString(8)}`);
  const others = readdirSync(directory).filter((entry) => entry !== TARGET);
  if (others.length > 0) wrong.push(`${others.join(', ')} lies beside it`);
  rmSync(directory, { recursive: true });
  return wrong;
}

function differenceOf(found: Buffer, right: Buffer): string {
  const at = right.findIndex((byte, index) => byte !== found[index]);
  const where = at === -1 ? 'all of the right bytes and more' : `other bytes from ${at} on`;
  return `it has ${found.length} bytes, not ${right.length}: ${where}`;
}
