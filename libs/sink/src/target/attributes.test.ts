// What a file has besides its bytes: whom it lets in while it is written, after a crash, and in place of another.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { libaioPort, syscallPort } from '@penstock/aio';
import { native } from '@penstock/native';
import type { WriteRequestInput } from '@penstock/contract';
import { STOP_SHUTDOWN } from '@penstock/matrix';
import { type Bench, type WriteOptions, openBench } from '../thread/thread.fixture.ts';

const ACL = 'system.posix_acl_access';
const DEFAULT_ACL = 'system.posix_acl_default';
const isRoot = process.getuid?.() === 0;
/** Another user than this one is at hand for root alone. */
const testAsRoot = isRoot ? test : test.skip;

let bench: Bench;
let onSubmit: () => void;
let umask: number;

beforeEach(() => {
  onSubmit = () => {};
  umask = process.umask(0o022);
  const port = libaioPort() ?? syscallPort();
  bench = openBench({
    forAllUsers: true,
    port: {
      name: port.name,
      setup: (depth) => port.setup(depth),
      destroy: (context) => port.destroy(context),
      getevents: (...wait) => port.getevents(...wait),
      submit(...batch) {
        onSubmit();
        return port.submit(...batch);
      },
    },
    checkpoints: { bytes: 1_048_576, ms: 60_000 },
  });
});

afterEach(async () => {
  process.umask(umask);
  await bench.end();
});

const at = (name: string): string => join(bench.directory, name);
const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

function put(name: string, mode: number, content = 'old'): void {
  rmSync(at(name), { force: true }); // its mode may let nobody write it
  writeFileSync(at(name), content);
  chmodSync(at(name), mode);
}

function withFd<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function setAttribute(path: string, name: string, value: Uint8Array): void {
  expect(withFd(path, (fd) => native.fsetxattr(fd, name, value))).toBe(0);
}

function attributeOf(path: string, name: string): string | null {
  const value = new Uint8Array(new ArrayBuffer(4096));
  const length = withFd(path, (fd) => native.fgetxattr(fd, name, value));
  return length < 0 ? null : Buffer.from(value.buffer, 0, length).toString('hex');
}

/** user::rw-, user:1000:`named`, group::`group`, mask::`mask`, other::--- */
function acl(named: number, group: number, mask: number): Buffer {
  const entries = [
    [0x01, 6, -1],
    [0x02, named, 1000],
    [0x04, group, -1],
    [0x10, mask, -1],
    [0x20, 0, -1],
  ] as const;
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2);
  for (const [index, [tag, permissions, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(permissions, 6 + index * 8);
    bytes.writeInt32LE(id, 8 + index * 8);
  }
  return bytes;
}

/** The modes that the file had, or its part, one after the other while the request was carried out, and has now. */
async function modesOver(request: WriteRequestInput, options?: WriteOptions): Promise<string[]> {
  const seen = new Set<string>();
  const inodeOf = (name: string): number | undefined => statSync(at(name), { throwIfNoEntry: false })?.ino;
  const old = inodeOf(request.path);
  onSubmit = () => {
    // Where there is no journal the file that is replaced has the name of the part for a moment, and is what it was.
    const own = bench.parts().filter((name) => inodeOf(name) !== old);
    const [name] = request.publish === 'in-place' || request.mode === 'append' ? [request.path] : own;
    if (name !== undefined && existsSync(at(name))) seen.add(modeOf(at(name)));
  };
  await bench.write({ matrix: { rows: 2, rowBytes: 65_536 }, ...request }, options);
  onSubmit = () => {};
  return [...seen.add(modeOf(at(request.path)))];
}

const SIZES = [4096, 4_000_000];

describe.each(SIZES)('of %i bytes', (size) => {
  test.each(['600', '640', '400', '000'])(
    'a file that is to be %s lets nobody else in while it is written',
    async (bits) => {
      const mode = parseInt(bits, 8).toString(8);
      const modes = bits === '600' ? ['600'] : ['600', mode]; // at its last flush it has what it ends with
      expect(await modesOver({ path: 'a', size, fileMode: bits })).toEqual(modes);
      expect(await modesOver({ path: 'b', size, fileMode: bits, publish: 'in-place' })).toEqual(modes);
    },
  );

  test('what takes the place of a closed file is never open, with what fileMode says in the end', async () => {
    for (const [old, fileMode, expected] of [
      [0o600, undefined, '600'],
      [0o640, undefined, '640'],
      [0o444, undefined, '444'],
      [0o755, undefined, '755'],
      [0o600, '644', '644'],
      [0o666, '600', '600'],
    ] as const) {
      put('a', old);
      const said = fileMode === undefined ? {} : { fileMode };
      expect(await modesOver({ path: 'a', size, ...said })).toEqual([...new Set(['600', expected])]);
    }
  });

  test('a file in place is closed before its first byte, and opened after its last', async () => {
    put('a', 0o644);
    expect(await modesOver({ path: 'a', size, publish: 'in-place', fileMode: '600' })).toEqual(['600']);
    expect(await modesOver({ path: 'a', size, mode: 'append', fileMode: '664' })).toEqual(['600', '664']);
    expect(await modesOver({ path: 'a', size, publish: 'in-place' })).toEqual(['664']);
  });

  test('a new file of which nothing is said is made as any other, and looked at no more', async () => {
    expect(await modesOver({ path: 'a', size })).toEqual(['644']);
  });

  test('each file of a bulk is as private as alone', async () => {
    put('a', 0o600);
    const seen = new Set<string>();
    onSubmit = () => {
      for (const name of bench.parts()) seen.add(modeOf(at(name)));
    };
    const { failed } = await bench.bulk({ files: [{ path: 'a' }, { path: 'b', fileMode: '400' }], size });
    expect([failed, modeOf(at('a')), modeOf(at('b'))]).toEqual([0, '600', '400']);
    expect([...seen].filter((mode) => mode !== '400')).toEqual(['600']);
  });
});

test('a part that an earlier attempt left open is closed before it is gone on with', async () => {
  const request: WriteRequestInput = {
    path: 'a',
    size: 8_388_608,
    fileMode: '600',
    matrix: { rows: 1, rowBytes: 65_536 },
  };
  const block = bench.control.job(40);
  let submits = 0;
  onSubmit = () => {
    submits += 1;
    if (submits === 60) block.requestStop(STOP_SHUTDOWN);
  };
  const first = bench.write(request, { jobKey: 'job', block });
  await expect(first).rejects.toMatchObject({ name: 'WriteAbortedError' });
  expect(bench.parts()).toHaveLength(1);
  chmodSync(at(bench.parts()[0]!), 0o644); // as an older version would have
  const again = { jobKey: 'job', attemptToken: '2', again: true };
  expect(await modesOver(request, again)).toEqual(['600']);
});

describe('a file that is replaced', () => {
  test('hands on its ACL, whose mask is no permission of its group, and its user attributes', async () => {
    put('a', 0o600);
    const own = acl(6, 0, 6);
    setAttribute(at('a'), ACL, own);
    setAttribute(at('a'), 'user.origin', Buffer.from('camera 3'));
    setAttribute(at('a'), 'user.penstock.checkpoint', Buffer.from('{}'));
    for (const size of SIZES) {
      const result = await bench.write({ path: 'a', size });
      expect(result.notKept).toBeUndefined();
      expect(attributeOf(at('a'), ACL)).toBe(own.toString('hex'));
      expect(attributeOf(at('a'), 'user.origin')).toBe(Buffer.from('camera 3').toString('hex'));
      expect(attributeOf(at('a'), 'user.penstock.checkpoint')).not.toBe(Buffer.from('{}').toString('hex'));
    }
  });

  test('has no ACL of its directory forced upon its successor', async () => {
    put('a', 0o640);
    setAttribute(bench.directory, DEFAULT_ACL, acl(7, 7, 7));
    await bench.write({ path: 'a', size: 10 });
    expect([modeOf(at('a')), attributeOf(at('a'), ACL)]).toEqual(['640', null]);
    await bench.write({ path: 'new', size: 10 });
    expect(attributeOf(at('new'), ACL)).not.toBeNull(); // a new one has what the directory says
  });

  test('loses its set-user-ID and set-group-ID bits, in place too, and the result says so', async () => {
    for (const publish of ['atomic', 'in-place'] as const) {
      put('a', 0o6755);
      const { notKept } = await bench.write({ path: 'a', size: 5000, publish });
      expect(modeOf(at('a'))).toBe('755');
      if (publish === 'atomic' || isRoot) expect(notKept).toEqual(['set-user-ID bit', 'set-group-ID bit']);
    }
  });

  testAsRoot('loses the capabilities of its content, and the result says so', async () => {
    put('a', 0o755);
    const capabilities = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    setAttribute(at('a'), 'security.capability', capabilities);
    const { notKept } = await bench.write({ path: 'a', size: 5000 });
    expect([attributeOf(at('a'), 'security.capability'), notKept]).toEqual([null, ['security.capability']]);
  });

  test('that is a link is replaced itself, and what it names is left alone', async () => {
    put('named', 0o600);
    symlinkSync('named', at('a'));
    await bench.write({ path: 'a', size: 10 });
    expect([lstatSync(at('a')).isFile(), modeOf(at('a')), readFileSync(at('named'), 'utf8')]).toEqual([
      true,
      '644',
      'old',
    ]);
  });

  test('stays as it is under its other names', async () => {
    put('a', 0o600);
    linkSync(at('a'), at('b'));
    await bench.write({ path: 'a', size: 10 });
    expect([modeOf(at('a')), modeOf(at('b')), readFileSync(at('b'), 'utf8')]).toEqual(['600', '600', 'old']);
  });

  test('that appears while a large file is written is found at its end', async () => {
    let made = false;
    onSubmit = () => {
      if (!made) put('a', 0o600);
      made = true;
    };
    await bench.write({ path: 'a', size: 4_000_000 });
    expect(modeOf(at('a'))).toBe('600');
  });

  testAsRoot('that somebody may have put into a sticky directory gets nothing of what is written', async () => {
    chmodSync(bench.directory, 0o1777);
    for (const size of SIZES) {
      put('a', 0o666);
      chownSync(at('a'), 1234, 5678);
      const { notKept } = await bench.write({ path: 'a', size });
      const { uid, gid } = statSync(at('a'));
      expect([uid, gid, modeOf(at('a'))]).toEqual([0, 0, '600']);
      expect(notKept).toEqual([expect.stringMatching(/^owner 1234 and permissions .*sticky/)]);
    }
  });

  testAsRoot('keeps its owner and group, when root writes', async () => {
    put('a', 0o640);
    chownSync(at('a'), 1234, 5678);
    for (const said of [{}, { fileMode: '600' }]) {
      const { notKept } = await bench.write({ path: 'a', size: 10, ...said });
      const { uid, gid } = statSync(at('a'));
      expect([uid, gid, notKept]).toEqual([1234, 5678, undefined]);
    }
    expect(modeOf(at('a'))).toBe('600');
  });
});

/** What a process of user 4242 with these groups could not keep of `a`; the directory is his. */
function replaceAsUser(groups: number[], request: WriteRequestInput = { path: 'a', size: 10 }): string[] {
  chownSync(bench.directory, 4242, groups[0]!);
  const fixture = fileURLToPath(new URL('attributes.fixture.mjs', import.meta.url));
  const args = [fixture, '4242', groups.join(','), bench.directory, JSON.stringify(request)];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  const { notKept, home } = JSON.parse(stdout) as { notKept: string[]; home: string };
  rmSync(home, { recursive: true });
  return notKept;
}

describe('an ordinary user who replaces the file of another', () => {
  const owned = (): string => {
    const { uid, gid } = statSync(at('a'));
    return `${uid}:${gid} ${modeOf(at('a'))}`;
  };

  testAsRoot.each([
    [0o664, [4242], '4242:4242 644', ['group 5678 (EPERM)', 'owner 1234 (EPERM)', 'permissions 664: 644 instead']],
    [0o660, [4242], '4242:4242 600', ['group 5678 (EPERM)', 'owner 1234 (EPERM)', 'permissions 660: 600 instead']],
    [0o604, [4242], '4242:4242 600', ['group 5678 (EPERM)', 'owner 1234 (EPERM)', 'permissions 604: 600 instead']],
    [0o660, [4242, 5678], '4242:5678 660', ['owner 1234 (EPERM)']],
    [0o000, [4242, 5678], '4242:5678 0', ['owner 1234 (EPERM)']],
  ] as const)('lets nobody else do more than before (%o, groups %j)', (mode, groups, expected, notKept) => {
    put('a', mode);
    chownSync(at('a'), 1234, 5678);
    expect(replaceAsUser([...groups])).toEqual(notKept);
    expect(owned()).toBe(expected);
  });

  testAsRoot('does so with an ACL, and says what he may not read of the attributes', () => {
    put('a', 0o600);
    setAttribute(at('a'), ACL, acl(6, 6, 6));
    setAttribute(at('a'), 'user.origin', Buffer.from('camera 3'));
    chownSync(at('a'), 1234, 5678);
    expect(replaceAsUser([4242])).toEqual([
      'user.origin (EACCES)',
      'group 5678 (EPERM)',
      'owner 1234 (EPERM)',
      expect.stringMatching(/^permissions of the ACL/),
    ]);
    expect(attributeOf(at('a'), ACL)).toBe(acl(6, 0, 6).toString('hex'));
  });
});

test("of a copy that keeps permissions the mask of an ACL is not the group's", async () => {
  put('source', 0o600);
  setAttribute(at('source'), ACL, acl(6, 0, 6));
  const source = { kind: 'file', path: 'source' } as const;
  await bench.write({ path: 'a', source, fileMode: 'keep' });
  expect([modeOf(at('source')), modeOf(at('a'))]).toEqual(['660', '600']);
});
