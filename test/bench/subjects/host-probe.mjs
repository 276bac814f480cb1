// Imported into the host process before its own code: measures how late its main thread's event loop is, when asked.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  // A timer due every millisecond: each value is that millisecond and the delay beyond it.
  const intervals = monitorEventLoopDelay({ resolution: 1 });
  process.on('message', (word) => {
    if (word === 'measure') {
      intervals.reset();
      intervals.enable();
      process.send('measuring');
    } else if (word === 'tell') {
      intervals.disable();
      const ms = (nanoseconds) => nanoseconds / 1e6;
      process.send({ p50: ms(intervals.percentile(50)), p99: ms(intervals.percentile(99)), max: ms(intervals.max) });
    }
  });
}
