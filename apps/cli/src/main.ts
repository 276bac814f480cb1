#!/usr/bin/env node
/** `penstock`: the command line, from its bundle if there is one of what is compiled now. */
import { programFile } from '@penstock/config/bundle';

await import(programFile('penstock', new URL('./penstock.js', import.meta.url)));
