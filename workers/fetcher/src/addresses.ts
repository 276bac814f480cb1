/**
 * Which addresses a url may lead to. Anybody who may add a job chooses its url, and the host stands inside a network: without
 * this, a job could read what only machines in there may (a metadata service, a database, the host itself). So every
 * address is judged after the name is resolved, and the connection is made to the very address that was judged.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, type LookupFunction, isIP } from 'node:net';

/** What an address that is not public is for. */
const IPV4_RANGES: readonly (readonly [network: string, prefix: number, what: string])[] = [
  ['0.0.0.0', 8, 'this network'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'shared by a carrier'],
  ['127.0.0.0', 8, 'loopback'],
  ['169.254.0.0', 16, 'link-local'],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved for protocols'],
  ['192.0.2.0', 24, 'for documentation'],
  ['192.88.99.0', 24, 'of a 6to4 relay'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'for benchmarks'],
  ['198.51.100.0', 24, 'for documentation'],
  ['203.0.113.0', 24, 'for documentation'],
  ['224.0.0.0', 4, 'multicast'],
  ['240.0.0.0', 4, 'reserved'],
];
const IPV6_RANGES: readonly (readonly [network: string, prefix: number, what: string])[] = [
  ['::', 128, 'unspecified'],
  ['::1', 128, 'loopback'],
  ['fc00::', 7, 'private'],
  ['fe80::', 10, 'link-local'],
  ['fec0::', 10, 'site-local'],
  ['ff00::', 8, 'multicast'],
  ['2001::', 23, 'reserved for protocols'],
  ['2001:db8::', 32, 'for documentation'],
  ['2002::', 16, 'of 6to4'],
  ['3fff::', 20, 'for documentation'],
];
/** All that is allocated to the public so far (RFC 4291, IANA); any other address is refused, without a name for it. */
const IPV6_PUBLIC = ['2000::', 3] as const;
/** Prefixes whose last four bytes are an IPv4 address that the connection ends at: mapped, and NAT64 (RFC 6052). */
const IPV4_INSIDE = [
  ['::ffff:0:0', 96],
  ['64:ff9b::', 96],
] as const;

type Family = 'ipv4' | 'ipv6';

/** An address that urls may not lead to. */
export class AddressRefused extends Error {
  readonly address: string;
  /** What kind of address it is, in words that follow "is". */
  readonly what: string;

  constructor(address: string, what: string) {
    super(`${address} is ${what}`);
    this.address = address;
    this.what = what;
  }
}

export class AddressPolicy {
  readonly #ranges = [...rangesOf('ipv4', IPV4_RANGES), ...rangesOf('ipv6', IPV6_RANGES)];
  readonly #public = new BlockList();
  readonly #ipv4Inside = new BlockList();
  readonly #allowed = new BlockList();
  readonly #allowedNames: string[] = [];

  /** @param allowed networks (10.1.0.0/16), addresses, names, and names with all below them (*.internal) */
  constructor(allowed: readonly string[] = []) {
    this.#public.addSubnet(...IPV6_PUBLIC, 'ipv6');
    for (const [network, prefix] of IPV4_INSIDE) this.#ipv4Inside.addSubnet(network, prefix, 'ipv6');
    for (const text of allowed) {
      const [address = '', prefix] = text.split('/');
      const family = familyOf(address);
      if (family === null) this.#allowedNames.push(plainName(text));
      else if (prefix === undefined) this.#allowed.addAddress(address, family);
      else this.#allowed.addSubnet(address, Number(prefix), family);
    }
  }

  /** What is against connecting to `address` as the host `name`, in words that follow "it is"; null if nothing is. */
  fault(address: string, name: string): string | null {
    const [plain = ''] = address.split('%'); // without the zone of a link-local one
    const family = familyOf(plain);
    if (family === null) return 'no address';
    if (this.#allowed.check(plain, family) || this.#allowsName(name)) return null;
    const inner = family === 'ipv6' && this.#ipv4Inside.check(plain, 'ipv6') ? lastFourBytes(plain) : null;
    if (inner !== null) return this.fault(inner, name);
    const range = this.#ranges.find((candidate) => candidate.family === family && candidate.list.check(plain, family));
    if (range !== undefined) return range.what;
    return family === 'ipv4' || this.#public.check(plain, 'ipv6') ? null : 'of no public network';
  }

  #allowsName(name: string): boolean {
    const plain = plainName(name);
    return this.#allowedNames.some((allowed) =>
      allowed.startsWith('*.') ? plain.endsWith(allowed.slice(1)) : plain === allowed,
    );
  }

  /**
   * Resolves a name as net.connect() wants it: to those of its addresses that may be connected to, so that nothing
   * resolves it once more after the judgement. Fails with AddressRefused if there is none.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, '', 0);
        return;
      }
      const fit = found.filter(({ address }) => this.fault(address, hostname) === null);
      const [first] = fit;
      if (first === undefined) callback(this.#refusalOf(found, hostname), '', 0);
      else if (options.all === true) callback(null, fit);
      else callback(null, first.address, first.family);
    });
  };

  #refusalOf(found: readonly LookupAddress[], hostname: string): AddressRefused {
    const address = found[0]?.address ?? '';
    return new AddressRefused(address, this.fault(address, hostname) ?? 'not known');
  }

  /** Judges the host of a url if it is an address: that is connected to without being looked up. @throws AddressRefused */
  assertHost(hostname: string): void {
    const address = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    if (isIP(address) === 0) return;
    const fault = this.fault(address, address);
    if (fault !== null) throw new AddressRefused(address, fault);
  }
}

/** A list each: a BlockList does not report which of its ranges it was. */
function rangesOf(family: Family, ranges: typeof IPV4_RANGES): { family: Family; list: BlockList; what: string }[] {
  return ranges.map(([network, prefix, what]) => {
    const list = new BlockList();
    list.addSubnet(network, prefix, family);
    return { family, list, what };
  });
}

const familyOf = (address: string): Family | null => {
  const version = isIP(address);
  return version === 0 ? null : version === 4 ? 'ipv4' : 'ipv6';
};

/** As names are compared: without the dot of the root. */
const plainName = (name: string): string => name.toLowerCase().replace(/\.$/, '');

/** '10.0.0.1' for '64:ff9b::a00:1'. */
function lastFourBytes(ipv6: string): string {
  // WHATWG's form has no dotted part, and at most one '::', which never stands in these two words without a 0 meant.
  const words = new URL(`http://[${ipv6}]`).hostname.slice(1, -1).split(':');
  const word = (text: string | undefined): number =>
    text === undefined || text === '' ? 0 : Number.parseInt(text, 16);
  const [high, low] = [word(words.at(-2)), word(words.at(-1))];
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}
