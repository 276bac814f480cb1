/** The process that checks one root, and reports each finding as it is found (root-process.ts is its other end). */
import { checkCalibration } from './calibration.ts';
import { broken } from './finding.ts';
import type { RootQuestion, RootStage, RootMessage } from './root-process.ts';
import { checkRoot } from './roots.ts';

const send = (message: RootMessage): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(message, () => resolve());
  });

process.once('message', (question: RootQuestion) => void check(question));

async function check({ root, isMade, dataDirectory, libaioFile }: RootQuestion): Promise<void> {
  const next = (stage: RootStage): Promise<void> => send({ next: stage });
  try {
    for await (const finding of checkRoot(root, libaioFile, { isMade, next })) await send({ finding });
    if (root.writable) {
      await next('the calibration');
      await send({ finding: checkCalibration(root, dataDirectory) });
    }
  } catch (error) {
    await send({ finding: broken(`root ${root.name}`, error, `look at ${root.path}`) });
  }
  await send({ over: true });
}
