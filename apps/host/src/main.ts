#!/usr/bin/env node
/** The host's process, from its bundle if there is one of what is compiled now. */
import { programFile } from '@penstock/config/bundle';

await import(programFile('host', new URL('./process.js', import.meta.url)));
