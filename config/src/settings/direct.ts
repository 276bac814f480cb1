/** For which roots direct I/O is tried: `--direct off` for all roots of a host, `--direct captures=off` for one. */
import { InvalidArgumentError } from 'commander';

/** 'auto': if the file system takes it. 'off': never, and it is not tried. */
export type Direct = 'auto' | 'off';

/** By the name of a root; ALL_ROOTS stands for those that are not named. */
export type DirectChoices = Readonly<Record<string, Direct>>;

/** No root has this name. */
export const ALL_ROOTS = '*';

/** One of several `off`, `auto`, `name=off` and `name=auto`. @throws InvalidArgumentError */
export function collectDirect(text: string, before: DirectChoices): DirectChoices {
  const [, name = ALL_ROOTS, word] = /^(?:([^=*]+)=)?(auto|off)$/.exec(text) ?? [];
  if (word === undefined) {
    throw new InvalidArgumentError('Give off or auto, or the name of a root and one of them, like captures=off.');
  }
  if (Object.hasOwn(before, name)) {
    throw new InvalidArgumentError(`It is said twice of ${name === ALL_ROOTS ? 'all roots' : `the root "${name}"`}.`);
  }
  return { ...before, [name]: word as Direct };
}

/** The choice for the root of this name. */
export const directOf = (choices: DirectChoices, root: string): Direct => choices[root] ?? choices[ALL_ROOTS] ?? 'auto';

/** The texts from which collectDirect makes the same choices. */
export const directTexts = (choices: DirectChoices): string[] =>
  Object.entries(choices).map(([name, word]) => (name === ALL_ROOTS ? word : `${name}=${word}`));
