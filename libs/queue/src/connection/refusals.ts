/** The errors by which a Redis refuses commands: why it does, and what to do about it. */

/** Why a Redis cannot be used. */
export interface Reason {
  code: string;
  why: string;
  hint: string;
}

/** What hosts, clients, doctor and dashboard need of a user who may not do everything. */
export const NEEDED_RIGHTS: string =
  '~bull:* &bull:* -@all +@read +@write +@scripting +@connection +@transaction +subscribe +unsubscribe +publish +time ' +
  '-@dangerous +info +client|list +config|get';

export const NOT_PERMITTED: Reason = {
  code: 'EAUTH',
  why: 'this user may not use it',
  hint: `Give the user the rights it needs: ACL SETUSER <user> ${NEEDED_RIGHTS}.`,
};

export const IS_REPLICA: Reason = {
  code: 'EREADONLY',
  why: 'it is a replica, which takes no writes',
  hint: 'Give the address of its master. After a failover behind the same address the connection is made anew by itself.',
};

export const IS_CLUSTER: Reason = {
  code: 'ECLUSTER',
  why: 'it is a node of a Redis Cluster, which splits the keys of a queue among its nodes',
  hint: 'Use a Redis that is no cluster (cluster-enabled no).',
};

export const IS_SENTINEL: Reason = {
  code: 'ESENTINEL',
  why: 'it is a Sentinel, which watches Redis servers and keeps no data',
  hint: 'Give the address of the master that it watches (redis-cli -p 26379 SENTINEL MASTERS), or one that follows it.',
};

/**
 * Matches the error code `words` at the begin of an answer, or within that of a refused script, as older Redis puts it.
 */
const answer = (words: string): RegExp => new RegExp(`(?:^|: -)(?:${words})\\b`);

const REFUSALS: readonly (readonly [pattern: RegExp, reason: Reason])[] = [
  [answer('READONLY|UNBLOCKED|MASTERDOWN'), IS_REPLICA],
  [
    answer('MISCONF'),
    {
      code: 'EMISCONF',
      why: 'it takes no writes because it cannot save them',
      hint: 'Free space on its disk and see its log: it goes on by itself.',
    },
  ],
  [
    answer('OOM'),
    {
      code: 'EREDISMEMORY',
      why: 'its memory is full (maxmemory)',
      hint: 'Raise it (redis-cli CONFIG SET maxmemory), or remove jobs that have ended: it goes on by itself.',
    },
  ],
  [
    answer('NOREPLICAS'),
    {
      code: 'ENOREPLICAS',
      why: 'fewer replicas follow it than min-replicas-to-write asks for',
      hint: 'Bring its replicas back, or lower min-replicas-to-write: it goes on by itself.',
    },
  ],
  [answer('CROSSSLOT|MOVED|ASK|TRYAGAIN|CLUSTERDOWN'), IS_CLUSTER],
  // Redis 7 names neither the user nor the command if a script was refused one.
  [/^NOPERM|: -NOPERM|The user executing the script can't/, NOT_PERMITTED],
];

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : '');

/** Why the Redis refused a command, by the error of its client; null if `error` is no refusal. */
export function refusalOf(error: unknown): Reason | null {
  const message = messageOf(error);
  return REFUSALS.find(([pattern]) => pattern.test(message))?.[1] ?? null;
}

/** True if the Redis was a master and is none any more. */
export const isDemotion = (error: unknown): boolean => refusalOf(error) === IS_REPLICA;

/** Node's and OpenSSL's names of what can be wrong with the certificate of a server. */
const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** What is wrong with the certificate, by the code of the error; null if it is none of these. */
export function certificateReason(code: string): Reason | null {
  if (code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED') {
    return { code, why: 'it asks for a certificate of its clients', hint: 'Set tls-auth-clients no, and a password.' };
  }
  if (!CERTIFICATE_CODES.has(code)) return null;
  const hint =
    code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH'
      ? 'Give the address by a name that its certificate is for.'
      : code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID'
        ? 'Renew its certificate, and check the clocks.'
        : 'Name the file of its authority in the environment: NODE_EXTRA_CA_CERTS=/path/to/ca.pem.';
  return { code, why: 'its certificate is not trusted', hint };
}
