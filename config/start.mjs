// `npm start`: the main job. `npm start -- <command>`: that penstock command. In this process, so that signals, the exit
// code and the terminal are the command's own.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const program = new URL('../apps/cli/dist/main.js', import.meta.url);
const command = process.argv.slice(2);

if (existsSync(program)) {
  process.argv = [process.execPath, fileURLToPath(program), ...(command.length > 0 ? command : ['demo'])];
  await import(program.href);
} else {
  process.stderr.write('penstock is not compiled yet: run "npm start", or "node config/setup.mjs --build" first\n');
  process.exitCode = 1;
}
