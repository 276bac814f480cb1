// For tests: `node jest.certificate.mjs <key file> <certificate file>` makes a key, and a certificate for 127.0.0.1 that
// it signed itself. Node can make keys and signatures; the certificate around them (RFC 5280) is written here, since no
// program that makes one is on every machine.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';

const DAY_MS = 86_400_000;

/** A value in DER: its tag, its length, its content. */
function der(tag, ...parts) {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const sequence = (...parts) => der(0x30, ...parts);
const set = (...parts) => der(0x31, ...parts);
const octets = (...parts) => der(0x04, ...parts);
const bits = (bytes) => der(0x03, Buffer.from([0]), bytes);
const TRUE = der(0x01, Buffer.from([0xff]));
const oid = (hex) => der(0x06, Buffer.from(hex, 'hex'));
/** YYMMDDhhmmssZ */
const time = (date) => der(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`));

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const BASIC_CONSTRAINTS = oid('551d13');
const SUBJECT_KEY_IDENTIFIER = oid('551d0e');
const SUBJECT_ALT_NAME = oid('551d11');
const IP_ADDRESS = 0x87;

function makeCertificate({ privateKey, publicKey }) {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const name = sequence(set(sequence(COMMON_NAME, der(0x0c, Buffer.from('localhost')))));
  const now = Date.now();
  const extensions = sequence(
    // An authority of its own: that is how a client may trust it.
    sequence(BASIC_CONSTRAINTS, TRUE, octets(sequence(TRUE))),
    sequence(SUBJECT_KEY_IDENTIFIER, octets(octets(createHash('sha1').update(spki).digest()))),
    sequence(SUBJECT_ALT_NAME, octets(sequence(der(IP_ADDRESS, Buffer.from([127, 0, 0, 1]))))),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))), // version 3
    der(0x02, Buffer.from([1]), randomBytes(15)), // positive, and another each time
    ECDSA_WITH_SHA256,
    name,
    sequence(time(new Date(now - DAY_MS)), time(new Date(now + 2 * DAY_MS))),
    name,
    spki,
    der(0xa3, extensions),
  );
  const certificate = sequence(body, ECDSA_WITH_SHA256, bits(sign('sha256', body, privateKey)));
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

const [keyFile, certificateFile] = process.argv.slice(2);
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
writeFileSync(keyFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
writeFileSync(certificateFile, makeCertificate(pair));
