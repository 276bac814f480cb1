#!/usr/bin/env node
// npm links a command to a file that is there when it installs; the compiled one comes later.
await import('../dist/main.js');
