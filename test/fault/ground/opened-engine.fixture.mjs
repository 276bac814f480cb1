// Opens an engine as a writer thread does, and prints which one it is and why: {name, reason, error, trialMs}.
// Arguments: the choice, and the file of libaio.
import { performance } from 'node:perf_hooks';
import { openEngine, tryOut } from '@penstock/aio';

const [choice, libaio] = process.argv.slice(2);
let told;
try {
  const { engine, reason } = openEngine({ choice, depth: 64, libaio });
  const beganAt = performance.now();
  const refusal = engine.port.name === 'positional' ? null : tryOut(engine);
  told = { name: engine.port.name, reason, refusal, trialMs: performance.now() - beganAt };
  engine.destroy();
} catch (error) {
  told = { error: error.message };
}
console.log(JSON.stringify(told));
