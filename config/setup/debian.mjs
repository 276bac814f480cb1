// Debian and Ubuntu: packages unpacked below .cache with apt's own directories moved there. No root, nothing installed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// The drivers of graphics cards and what asks for them: a quarter of the download, and a headless browser draws without.
const UNUSED = /^(libllvm\d.*|libz3-\d.*|libgl1-mesa-dri|mesa-.*|x11-utils|xdg-utils)$/;

/** `name` and the packages it needs that this system does not have. Null if apt has no package of just that name. */
function plan(options, name) {
  try {
    const args = [...options, '--simulate', '--no-install-recommends', 'install', name];
    const env = { ...process.env, LC_ALL: 'C' };
    const text = execFileSync('apt-get', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], env });
    const missing = [...text.matchAll(/^Inst (\S+)/gm)].map(([, found]) => found);
    // Else apt chose another in its place, which may be one that only fetches a snap.
    if (!missing.includes(name) && !text.includes(`${name} is already the newest version`)) return null;
    return [...new Set([name, ...missing])].filter((found) => !UNUSED.test(found));
  } catch {
    return null;
  }
}

/** A place below `cache` to fetch packages with; `close` leaves nothing of it. */
export class PrivateApt {
  #folder;
  #options;
  #updated = false;
  #run;

  constructor(cache, run) {
    this.#folder = join(cache, 'apt');
    this.#run = run;
    this.close();
    for (const name of ['lists/partial', 'archives/partial']) mkdirSync(join(this.#folder, name), { recursive: true });
    const config = join(this.#folder, 'apt.conf');
    // The hooks of the system's configuration would work on the system's directories.
    const hooks = ['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success'];
    writeFileSync(config, hooks.map((hook) => `#clear APT::Update::${hook};\n`).join(''));
    const settings = [
      `Dir::State::lists=${join(this.#folder, 'lists')}`,
      `Dir::Cache=${this.#folder}`,
      'APT::Sandbox::User=',
      'Debug::NoLocking=1',
      'Acquire::Languages=none',
      'Acquire::Retries=3',
    ];
    this.#options = ['-c', config, ...settings.flatMap((setting) => ['-o', setting])];
  }

  /**
   * Unpacks the first of `choices` that the distribution has, with what it needs, into `target`, whole or not at all.
   *
   * @param {string[]} choices package names
   * @param {string} target
   * @param {(packageCount: number) => void} announce called before the download
   * @returns {Promise<string | null>} why it could not be done, or null
   */
  async unpack(choices, target, announce) {
    if (!this.#updated) {
      // A source that fails, say of a third party, does not matter as long as the others have the package.
      await this.#run('apt-get update', 'apt-get', [...this.#options, '-qq', 'update']).catch(() => {});
      this.#updated = true;
    }
    let packages = null;
    for (const name of choices) packages ??= plan(this.#options, name);
    if (packages === null)
      return `the apt sources of this system have no ${choices.join(' or ')}, or cannot be reached`;
    announce(packages.length);
    const archives = join(this.#folder, `archives-${choices[0]}`);
    const partial = join(this.#folder, `unpacked-${choices[0]}`);
    mkdirSync(archives);
    mkdirSync(partial);
    await this.#run('apt-get download', 'apt-get', [...this.#options, '-qq', 'download', ...packages], {
      cwd: archives,
    });
    for (const file of readdirSync(archives))
      await this.#run('dpkg-deb -x', 'dpkg-deb', ['-x', join(archives, file), partial]);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(join(target, '..'), { recursive: true });
    renameSync(partial, target);
    rmSync(archives, { recursive: true });
    return null;
  }

  close() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** The folders of shared libraries of an unpacked tree: some packages keep theirs in a folder of their own. */
export function libraryFolders(tree) {
  const folders = [];
  const pending = ['usr/lib', 'lib', 'usr/lib64', 'lib64']
    .map((name) => join(tree, name))
    .filter((folder) => existsSync(folder));
  for (const folder of pending) {
    const entries = readdirSync(folder, { withFileTypes: true });
    if (entries.some(({ name }) => /^lib.*\.so(\.|$)/.test(name))) folders.push(folder);
    for (const entry of entries) if (entry.isDirectory()) pending.push(join(folder, entry.name));
  }
  return folders;
}
