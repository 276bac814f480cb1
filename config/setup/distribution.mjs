// What to type where set-up cannot help itself.
import { readFileSync } from 'node:fs';

const families = [
  {
    ids: ['ubuntu'],
    install: 'sudo apt-get install',
    names: { redis: 'redis-server', libaio: 'libaio1' },
    whole: { chromium: 'sudo snap install chromium' },
  },
  { ids: ['debian'], install: 'sudo apt-get install', names: { redis: 'redis-server', libaio: 'libaio1' } },
  { ids: ['fedora', 'rhel', 'centos'], install: 'sudo dnf install', names: { redis: 'valkey' } },
  { ids: ['arch'], install: 'sudo pacman -S', names: { redis: 'valkey' } },
  { ids: ['alpine'], install: 'sudo apk add', names: { redis: 'valkey' } },
  {
    ids: ['suse', 'opensuse', 'opensuse-leap', 'opensuse-tumbleweed', 'sles'],
    install: 'sudo zypper install',
    names: { libaio: 'libaio1' },
  },
];

function readOsRelease() {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      // The second is the one that a distribution without /etc/os-release has.
    }
  }
  return '';
}

/**
 * The command that installs `tool` on the distribution that `osRelease` describes, or advice for one that is not known.
 *
 * @param {'redis' | 'libaio' | 'chromium' | 'strace'} tool
 * @param {string} [osRelease] the text of os-release(5)
 */
export function installCommand(tool, osRelease = readOsRelease()) {
  const field = (name) => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(osRelease)?.[1] ?? '';
  for (const id of [field('ID'), ...field('ID_LIKE').split(' ')]) {
    const family = families.find(({ ids }) => ids.includes(id));
    if (family) return family.whole?.[tool] ?? `${family.install} ${family.names[tool] ?? tool}`;
  }
  return `install ${tool} with the package manager of ${field('NAME') || 'this system'}`;
}
