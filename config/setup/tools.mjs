// What npm does not carry: where each such program or library is looked for, and how it is tried.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { libraryFolders } from './debian.mjs';

const TRY_TIMEOUT_MS = 60_000;

const programFolders = () => [
  ...(process.env.PATH ?? '').split(delimiter).filter(Boolean),
  '/usr/local/bin',
  '/usr/bin',
  '/usr/sbin',
];

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Every program of one of these names, the names in their order, each in the order of PATH. */
export const programs = (names) =>
  names.flatMap((name) => [...new Set(programFolders().map((folder) => join(folder, name)))].filter(isExecutable));

/** Runs a program to its end; throws what went wrong in words. */
function attempt({ bin, env }, args) {
  const options = { encoding: 'utf8', timeout: TRY_TIMEOUT_MS, env: { ...process.env, ...env }, maxBuffer: 64 << 20 };
  const { stdout, stderr, status, signal, error } = spawnSync(bin, args, options);
  if (status === 0) return stdout;
  const said = (stderr ?? '').trim().split('\n').slice(-2).join(' ').replaceAll(`${bin}: `, '');
  throw new Error(`${error?.message ?? signal ?? `exit code ${status}`} ${said}`.trim());
}

function tryRedis(program) {
  const said = attempt(program, ['--version']);
  const [, name, version = ''] = /(redis|valkey).*?v=(\d+\.\d+\.\d+)/i.exec(said) ?? [];
  if (!name) throw new Error(`it calls itself ${JSON.stringify(said.trim())}`);
  const [major, minor] = version.split('.').map(Number);
  if (major < 6 || (major === 6 && minor < 2)) throw new Error(`it is ${version}, and 6.2 or newer is needed`);
}

// Of a 64-bit ELF file for this processor; loading it would need a compiler or koffi.
function tryLibrary({ bin }) {
  const machine = { x64: 62, arm64: 183 }[process.arch];
  const header = Buffer.alloc(20);
  const fd = openSync(bin, 'r');
  try {
    readSync(fd, header, 0, header.length, 0);
  } finally {
    closeSync(fd);
  }
  if (header.toString('latin1', 1, 4) !== 'ELF' || header[4] !== 2 || (machine && header.readUInt16LE(18) !== machine))
    throw new Error(`it is not for ${process.arch}`);
}

// A version number proves little: libraries are loaded late, and without a font every text has no width.
function tryBrowser(program) {
  // In two halves, lest the script's own text be taken for what it shows.
  const script =
    'const [i,m]=document.querySelectorAll("b");document.body.textContent="text "+(i.offsetWidth>0&&m.offsetWidth>i.offsetWidth?"drawn":"flat")';
  const page = `<b>iiii</b><br><b>MMMM</b><script>${script}</script>`;
  const profile = join(program.scratch, 'profile');
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    `--user-data-dir=${profile}`,
  ];
  try {
    const shown = attempt(program, [...flags, '--dump-dom', `data:text/html,${encodeURIComponent(page)}`]);
    if (!shown.includes('text drawn'))
      throw new Error(shown.includes('text flat') ? 'it finds no font' : 'it shows nothing');
  } finally {
    rmSync(profile, { recursive: true, force: true });
  }
}

const tryStrace = (program) => attempt(program, ['-o', '/dev/null', '/bin/true']);

const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch] ?? process.arch;
const libraries = (folders) =>
  folders
    .flatMap((folder) => ['libaio.so.1', 'libaio.so.1t64'].map((name) => join(folder, name)))
    .filter((file) => existsSync(file));

const itsLibraries = (tree) => ({ LD_LIBRARY_PATH: libraryFolders(tree).join(':') });

const xml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

// Without /etc/fonts a browser finds no font, not even those that were unpacked with it.
function fontsOf(tree) {
  const file = join(tree, 'fonts.conf');
  writeFileSync(
    file,
    `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${xml(join(tree, 'usr/share/fonts'))}</dir>
  <cachedir>${xml(join(tree, 'fontconfig'))}</cachedir>
</fontconfig>
`,
  );
  return { FONTCONFIG_FILE: file };
}

const browserNames = [
  'chromium-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
];

/**
 * Of each tool: `variable`, the environment variable that names one; `onSystem`, where installed ones lie; `debian`, its
 * packages, the best first; `unpacked`, where it lies in an unpacked package, and `env`, what it needs to run there; `tryOut`,
 * which throws if it does not work; `without`, what its lack means.
 */
export const tools = {
  redis: {
    variable: 'REDIS_SERVER',
    onSystem: () => programs(['redis-server', 'valkey-server']),
    debian: ['redis-server', 'valkey-server'],
    unpacked: (tree) => [join(tree, 'usr/bin/redis-server'), join(tree, 'usr/bin/valkey-server')],
    env: itsLibraries,
    tryOut: tryRedis,
    without: 'penstock can start no Redis of its own: set REDIS_SERVER=/path/to/redis-server or PENSTOCK_REDIS_URL',
  },
  libaio: {
    onSystem: () =>
      libraries([
        `/usr/lib/${triplet}`,
        `/lib/${triplet}`,
        '/usr/lib64',
        '/lib64',
        '/usr/lib',
        '/lib',
        '/usr/local/lib',
      ]),
    debian: ['libaio1t64', 'libaio1'],
    unpacked: (tree) => libraries(libraryFolders(tree)),
    tryOut: tryLibrary,
    without: 'raw system calls are used instead',
  },
  chromium: {
    onSystem: () => programs(browserNames),
    debian: ['chromium-headless-shell', 'chromium'],
    // Not what lies in usr/bin: those are scripts that know only the installed place.
    unpacked: (tree) =>
      ['chromium-headless-shell', 'headless_shell', 'chromium'].map((name) => join(tree, 'usr/lib/chromium', name)),
    env: (tree) => ({ ...itsLibraries(tree), ...fontsOf(tree) }),
    tryOut: tryBrowser,
    without: 'tests that look at a page are skipped',
  },
  strace: {
    onSystem: () => programs(['strace']),
    debian: ['strace'],
    unpacked: (tree) => [join(tree, 'usr/bin/strace')],
    env: itsLibraries,
    tryOut: tryStrace,
    without: 'tests that watch or disturb system calls are skipped',
  },
};
