/** Roots as `write` takes them: a name alone, or a name with the directory that the host started for it shall use. */
import { InvalidArgumentError } from 'commander';
import { parseRoot } from '@penstock/config';

/** `--root` or `--from-root`. */
export interface RootChoice {
  name: string;
  /** Present if the name was given with a directory. */
  definition?: ReturnType<typeof parseRoot>;
}

/** Reads `name` or `name=directory[:ro]`. @throws InvalidArgumentError */
export function parseRootChoice(text: string): RootChoice {
  if (!text.includes('=')) return { name: text };
  const definition = parseRoot(text);
  return { name: definition.name, definition };
}

/** The roots that the choices define, each once. @throws InvalidArgumentError if one name stands for two directories */
export function rootsOf(choices: readonly (RootChoice | undefined)[]): ReturnType<typeof parseRoot>[] {
  const roots: ReturnType<typeof parseRoot>[] = [];
  for (const choice of choices) {
    if (choice?.definition === undefined) continue;
    const same = roots.find((root) => root.name === choice.name);
    if (same === undefined) roots.push(choice.definition);
    else if (same.path !== choice.definition.path) {
      throw new InvalidArgumentError(`The root "${choice.name}" stands for two directories.`);
    }
  }
  return roots;
}
