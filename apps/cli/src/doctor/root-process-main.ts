/** The process that looks at one root, and reports each finding as it is found (root-look.ts is its other end). */
import { checkCalibration } from './calibration.ts';
import { broken } from './finding.ts';
import type { RootQuestion, RootStage, RootWord } from './root-process.ts';
import { checkRoot } from './roots.ts';

const say = (word: RootWord): Promise<void> =>
  new Promise((resolve) => {
    process.send?.(word, () => resolve());
  });

process.once('message', (question: RootQuestion) => void look(question));

async function look({ root, isMade, dataDirectory, libaioFile }: RootQuestion): Promise<void> {
  const next = (stage: RootStage): Promise<void> => say({ next: stage });
  try {
    for await (const finding of checkRoot(root, libaioFile, { isMade, next })) await say({ finding });
    if (root.writable) {
      await next('the calibration');
      await say({ finding: checkCalibration(root, dataDirectory) });
    }
  } catch (error) {
    await say({ finding: broken(`root ${root.name}`, error, `look at ${root.path}`) });
  }
  await say({ over: true });
}
