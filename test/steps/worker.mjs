// For tests: a writer thread that counts its steps (kill-at.mjs). Threads inherit neither what their program preloads nor its
// environment: which step is meant stands in that of the process.
import { readFileSync } from 'node:fs';
import process from 'node:process';

const own = readFileSync('/proc/self/environ', 'utf8').split('\0');
process.env.PENSTOCK_STEPS = own.find((entry) => entry.startsWith('PENSTOCK_STEPS=')).slice('PENSTOCK_STEPS='.length);
await import('./kill-at.mjs');
const { default: serve } = await import('../../workers/writer/dist/worker.js');

export default serve;
