/**
 * A process of its own that removes the partial files of one root that no write will go on with. A root may hang, and a
 * thread that looks at it hangs with it: neither the host's main thread nor its writers may.
 */
import { type LeftPartFate, type PartRecord, removeLeftPart } from '@penstock/sink';
import { type RootConfig, Roots } from '@penstock/disk';

export interface RemoverOrder {
  root: RootConfig;
  records: PartRecord[];
}

process.once('message', ({ root, records }: RemoverOrder) => {
  let fates: LeftPartFate[];
  try {
    const open = new Roots([root]).get(root.name, 'root', true);
    fates = records.map(({ directory, name }) => removeLeftPart(open, directory, name));
  } catch (error) {
    const { errno = 0 } = error as { errno?: number };
    fates = records.map(() => ({ kind: 'failed', errno }));
  }
  process.send!(fates, () => process.exit(0));
});
