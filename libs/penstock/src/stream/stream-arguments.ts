/**
 * The arguments of createWriteStream(), judged at once as fs judges them: by errors of Node's kinds, thrown where the call
 * stands, so that its caller can catch them. And what they ask of the engine.
 */
import fs from 'node:fs';
import type { WriteRequest } from '@penstock/contract';
import { bitsOfNew, readFileMode } from '../arguments/file-mode.ts';
import { readFlags, type StreamFlags } from '../arguments/flags.ts';
import { assertInteger, invalidType, invalidValue, unknownEncoding } from '../arguments/node-errors.ts';
import { type FileOptions, type FlushOptions, flushTime, requestFor } from '../arguments/options.ts';
import { pathText } from '../arguments/paths.ts';

/** The options of `fs.createWriteStream`, by the same names; and those of any write, but that `mode` is fs's. */
export interface WriteStreamOptions extends Omit<FileOptions, 'mode' | 'offset' | 'fileMode'>, FlushOptions {
  /** `'w'` (the default), `'wx'`, `'a'`, `'ax'` or `'r+'`, or their numbers. */
  flags?: string | number | undefined;
  /** Where the first byte goes, with flags `'r+'`. Default 0. */
  start?: number | undefined;
  /** Permission bits of a file that is made, less the umask as everywhere in fs. Default 0o666. */
  mode?: number | string | undefined;
  /** Of strings that come without one. Default `'utf8'`. */
  encoding?: BufferEncoding | undefined;
  /** Another name of the same. */
  defaultEncoding?: BufferEncoding | undefined;
  /** False: `'close'` comes only after close() or destroy(); nothing of the file is open after `'finish'` anyway. */
  autoClose?: boolean | undefined;
  /** False: no `'close'`. */
  emitClose?: boolean | undefined;
  /** False: durability `'none'`. Without it `'finish'` means that the file survives power loss. */
  flush?: boolean | undefined;
  /** Bytes that may wait in this process beside the rows before write() returns false. Default 16 KiB, as of fs. */
  highWaterMark?: number | undefined;
  /** How many bytes will come, if that is known: the file is preallocated, and any other number is an error. */
  size?: number | string | undefined;
}

/** What a stream is made with. */
export interface StreamArguments {
  /** The path in words. */
  text: string;
  /** As the stream shows it: as it was given, but a URL as its path. */
  path: string | Buffer;
  options: WriteStreamOptions;
  flags: StreamFlags;
  /** Permission bits of a file that is made; undefined for fs's default. */
  bits: number | undefined;
}

/** Options that fs does not have. */
const REQUEST_FIELDS = ['size', 'publish', 'durability', 'checksum', 'expect', 'verify', 'limit', 'matrix'] as const;

/** Functions of `options.fs` that fs calls; any of the last two may be missing if the other is there. */
const FS_FUNCTIONS = ['open', 'close', 'write', 'writev'] as const;

/**
 * @throws TypeError or RangeError with Node's codes; RequestError for an option that fs does not have
 */
export function judgeStream(path: unknown, given: unknown): StreamArguments {
  const options = optionsOf(given);
  const { fd, flush, start, onProgress } = options as WriteStreamOptions & { fd?: unknown };
  assertEncodings(options);
  assertSignal(options.signal);
  assertFd(fd);
  assertFs(options as { fs?: unknown });
  const text = pathText(path);
  if (flush !== undefined && flush !== null && typeof flush !== 'boolean') {
    throw invalidType('options.flush', 'of type boolean', flush);
  }
  if (start !== undefined) assertInteger('start', start, 0, Number.MAX_SAFE_INTEGER);
  if (onProgress != null && typeof onProgress !== 'function') {
    throw invalidType('options.onProgress', 'of type function', onProgress);
  }
  const flags = readFlags(options.flags === undefined ? 'w' : options.flags);
  if (start !== undefined && start > 0 && flags.mode !== 'overwrite' && !flags.appends) {
    throw invalidValue('start', start, 'must be 0, or go with flags "r+": no hole is made in a new file');
  }
  const shown = typeof path === 'string' || Buffer.isBuffer(path) ? path : text;
  const judged = { text, path: shown, options, flags, bits: readFileMode(options.mode) };
  flushTime(options.flushAfterMs);
  // What is wrong with a field of the request is found by now too.
  if (REQUEST_FIELDS.some((field) => options[field] !== undefined)) streamRequest('/judged', judged, true);
  return judged;
}

/** @param stands whether a file has that name */
export function streamRequest(file: string, judged: StreamArguments, stands: boolean): WriteRequest {
  const { options, flags, bits } = judged;
  const { size, start, flush, durability, publish } = options;
  const { mode, synchronous, appends, makes } = flags;
  // O_CREAT alone: a file that is made grows under its name, as one that exists does.
  const isMade = makes && !stands;
  const inPlace = appends || makes;
  const request = requestFor(file, { kind: 'stream' }, size, {
    ...options,
    mode: isMade ? 'create' : mode,
    publish: publish ?? (inPlace ? 'in-place' : undefined),
    offset: mode === 'overwrite' && !isMade ? start : undefined,
    durability: durability ?? (synchronous ? 'dsync' : flush === false ? 'none' : undefined),
    fileMode: undefined,
  });
  // As with fs, only a file that is made gets these bits: one that exists keeps its own, and may belong to another user.
  // The request's own rule is passed over: a program may do with its own files what a job may not.
  return stands || bits === undefined
    ? request
    : { ...request, fileMode: bitsOfNew(bits).toString(8).padStart(3, '0') };
}

function optionsOf(given: unknown): WriteStreamOptions {
  if (given === undefined || given === null || typeof given === 'function') return {};
  if (typeof given === 'string') return { encoding: given as BufferEncoding };
  if (typeof given === 'object') return given;
  throw invalidType('options', 'one of type string or object', given);
}

function assertEncodings({ encoding, defaultEncoding }: WriteStreamOptions): void {
  if ((encoding as string) === 'buffer') throw unknownEncoding(encoding); // fs takes it where bytes are read
  if (encoding && !Buffer.isEncoding(encoding)) throw invalidValue('encoding', encoding, 'is invalid encoding');
  if (defaultEncoding != null && !Buffer.isEncoding(defaultEncoding)) throw unknownEncoding(defaultEncoding);
}

function assertSignal(signal: unknown): void {
  if (signal === undefined || (typeof signal === 'object' && signal !== null && 'aborted' in signal)) return;
  throw invalidType('options.signal', 'an instance of AbortSignal', signal);
}

function assertFd(fd: unknown): void {
  if (fd === undefined || fd === null) return;
  const isHandle = typeof fd === 'object' && typeof Reflect.get(fd, 'fd') === 'number';
  if (typeof fd !== 'number' && !isHandle) {
    throw invalidType('options.fd', 'of type number or an instance of FileHandle', fd);
  }
  if (!isHandle) assertInteger('fd', fd, 0, 2 ** 31 - 1);
  throw invalidValue(
    'options.fd',
    fd,
    'is not taken here, with a path or without: the file is opened by its path alone',
  );
}

function assertFs({ fs: given }: { fs?: unknown }): void {
  if (!given) return;
  const functions = given as Record<string, unknown>;
  const isMissing = (name: string): boolean => {
    if (name === 'write') return functions['write'] != null || !functions['writev'];
    return name === 'writev' ? functions['writev'] != null : true;
  };
  for (const name of FS_FUNCTIONS) {
    const value = functions[name];
    if (typeof value !== 'function' && isMissing(name))
      throw invalidType(`options.fs.${name}`, 'of type function', value);
  }
  const own = fs as unknown as Record<string, unknown>;
  const other = FS_FUNCTIONS.find((name) => functions[name] != null && functions[name] !== own[name]);
  if (other === undefined) return;
  throw invalidValue('options.fs', `[${other}]`, 'is not taken here: no function of it would be called');
}
