// Whom a file lets in, worked out for every kind of person, as the kernel does it.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Access, bitsOfAcl, narrowed } from './posix-acl.ts';

const [OWNER, USER, OWNING_GROUP, GROUP, MASK, OTHER] = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20];

interface Person {
  user: number;
  groups: number[];
}
interface Owned {
  owner: number;
  group: number;
}

function entries(acl: Uint8Array): { tag: number; permissions: number; id: number }[] {
  const view = new DataView(acl.buffer, acl.byteOffset, acl.byteLength);
  return Array.from({ length: (acl.length - 4) / 8 }, (_, index) => {
    const at = 4 + index * 8;
    return {
      tag: view.getUint16(at, true),
      permissions: view.getUint16(at + 2, true),
      id: view.getUint32(at + 4, true),
    };
  });
}

function aclOf(parts: readonly (readonly [tag: number, permissions: number, id?: number])[]): Uint8Array {
  const acl = new Uint8Array(4 + parts.length * 8);
  const view = new DataView(acl.buffer);
  view.setUint32(0, 2, true);
  for (const [index, [tag, permissions, id = 0xffff_ffff]] of parts.entries()) {
    view.setUint16(4 + index * 8, tag, true);
    view.setUint16(6 + index * 8, permissions, true);
    view.setUint32(8 + index * 8, id, true);
  }
  return acl;
}

/** acl(5), ACCESS CHECK ALGORITHM: what of read, write and execute `person` may do, each asked for alone. */
function allowed({ bits, acl }: Access, { owner, group }: Owned, person: Person): number {
  const list =
    acl === null
      ? [
          { tag: OWNER, permissions: (bits >> 6) & 7, id: 0 },
          { tag: OWNING_GROUP, permissions: (bits >> 3) & 7, id: 0 },
          { tag: OTHER, permissions: bits & 7, id: 0 },
        ]
      : entries(acl);
  const of = (tag: number): number | undefined => list.find((entry) => entry.tag === tag)?.permissions;
  const mask = of(MASK) ?? 7;
  if (person.user === owner) return of(OWNER)!;
  const named = list.find(({ tag, id }) => tag === USER && id === person.user);
  if (named !== undefined) return named.permissions & mask;
  const groups = list.filter(
    ({ tag, id }) =>
      (tag === OWNING_GROUP && person.groups.includes(group)) || (tag === GROUP && person.groups.includes(id)),
  );
  if (groups.length === 0) return of(OTHER)!;
  let union = 0;
  for (const { permissions } of groups) union |= permissions;
  return union & mask;
}

const permission = fc.integer({ min: 0, max: 7 });
const id = fc.integer({ min: 1, max: 5 });
const named = fc.uniqueArray(fc.tuple(id, permission), { selector: ([name]) => name, maxLength: 3 });
const access: fc.Arbitrary<Access> = fc.oneof(
  fc.integer({ min: 0, max: 0o777 }).map((bits) => ({ bits, acl: null })),
  fc
    .tuple(permission, named, permission, named, permission, permission)
    .map(([owner, users, group, groups, mask, other]) => ({
      bits: (owner << 6) | (mask << 3) | other,
      acl: aclOf([
        [OWNER, owner],
        ...users.map(([name, granted]) => [USER, granted, name] as const),
        [OWNING_GROUP, group],
        ...groups.map(([name, granted]) => [GROUP, granted, name] as const),
        [MASK, mask],
        [OTHER, other],
      ]),
    })),
);
const owned = fc.record({ owner: id, group: id });
const person = fc.record({ user: id, groups: fc.uniqueArray(id, { maxLength: 3 }) });

test('a file of another owner or group lets nobody do more than the one it replaces', () => {
  fc.assert(
    fc.property(access, owned, owned, person, (before, was, is, somebody) => {
      fc.pre(somebody.user !== is.owner); // who writes it has it
      const lost = { owner: was.owner !== is.owner, group: was.group !== is.group };
      const after = narrowed(before, lost);
      const more = allowed(after, is, somebody) & ~allowed(before, was, somebody);
      expect(more).toBe(0);
    }),
    { seed: 20_261_128, numRuns: 5000 },
  );
});

test('the bits of a file that cannot have the ACL let nobody do more than it does', () => {
  fc.assert(
    fc.property(access, owned, person, (before, was, somebody) => {
      fc.pre(before.acl !== null);
      const after = { bits: bitsOfAcl(before.acl), acl: null };
      expect(allowed(after, was, somebody) & ~allowed(before, was, somebody)).toBe(0);
    }),
    { seed: 20_261_128, numRuns: 5000 },
  );
});

test('what is common stays: 644, 664 and 640 for owner and group, and a mask is no permission of the group', () => {
  const [both, group] = [
    { owner: true, group: true },
    { owner: false, group: true },
  ];
  const bitsAfter = (bits: number, lost: typeof both): number => narrowed({ bits, acl: null }, lost).bits;
  expect([bitsAfter(0o644, both), bitsAfter(0o664, group), bitsAfter(0o640, group)]).toEqual([0o644, 0o644, 0o600]);
  const acl = aclOf([
    [OWNER, 6],
    [USER, 6, 1000],
    [OWNING_GROUP, 0],
    [MASK, 6],
    [OTHER, 0],
  ]);
  expect(bitsOfAcl(acl)).toBe(0o600); // stat says 660 of it
});
