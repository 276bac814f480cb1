// Whether node_modules is what package-lock.json asks for. By content, not by time: a checkout or a copy changes times.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

// npm writes this one last, and reads it instead of the folders.
const installedLock = (root) => join(root, 'node_modules/.package-lock.json');

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;

/**
 * The first difference between node_modules and the lock file in words, or null if there is none.
 * Optional packages may lack: npm leaves out those of other platforms.
 *
 * @param {string} root
 * @returns {string | null}
 */
export function packagesDiffer(root) {
  const locked = packagesOf(join(root, 'package-lock.json'));
  let installed;
  try {
    installed = packagesOf(installedLock(root));
  } catch {
    return 'no packages are installed yet, or not to the end';
  }
  for (const [path, wanted] of Object.entries(locked)) {
    if (!path.includes('node_modules/')) continue;
    const found = installed[path];
    if (found === undefined) {
      if (wanted.optional || wanted.devOptional) continue;
      return `${path} is missing`;
    }
    if (found.version !== wanted.version || found.integrity !== wanted.integrity)
      return `${path} is ${found.version}, not ${wanted.version} of the lock file`;
    if (!existsSync(join(root, path, 'package.json'))) return `${path} is incomplete`;
  }
  const extra = Object.keys(installed).find((path) => locked[path] === undefined);
  return extra === undefined ? null : `${extra} is not in the lock file`;
}

/** From here to the end of `npm ci` node_modules counts as not installed, so that an interrupted run is seen. */
export function forgetPackages(root) {
  rmSync(installedLock(root), { force: true });
}
