// Preloaded by a program: opens a writer and writes a file with it. Counts how often it runs, and stops a program that
// it would run in without end.
import { appendFileSync, readFileSync } from 'node:fs';
import { openWriter } from '../dist/index.js';

const RUNS_MAX = 4;

const directory = process.env.PRELOAD_DIRECTORY;
appendFileSync(`${directory}/runs`, '.');
if (readFileSync(`${directory}/runs`).length > RUNS_MAX) process.kill(process.pid, 'SIGKILL');
const writer = await openWriter({ threads: 1, memoryBytes: 33_554_432 });
// Large enough for a digest thread.
await writer.writeFile(`${directory}/a`, Buffer.alloc(5_000_000, 1), { checksum: 'sha256' });
await writer.close();
