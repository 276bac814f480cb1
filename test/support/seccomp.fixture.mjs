// Preloaded (node --import) into a process that is to be refused system calls, as a container's seccomp profile does it.
// PENSTOCK_TEST_REFUSED names them, a JSON array of {"call": "io_submit", "errno": 1}.
import { isMainThread } from 'node:worker_threads';
import koffi from 'koffi';

const NUMBERS = {
  x64: {
    io_setup: 206,
    io_submit: 209,
    io_getevents: 208,
    io_pgetevents: 333,
    memfd_create: 319,
    seccomp: 317,
    fstatfs: 138,
  },
  arm64: {
    io_setup: 0,
    io_submit: 2,
    io_getevents: 4,
    io_pgetevents: 292,
    memfd_create: 279,
    seccomp: 277,
    fstatfs: 44,
  },
}[process.arch];

// <linux/filter.h>, <linux/seccomp.h>
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const NUMBER_AT = 0;

/** Instructions for one refusal: a number that is another goes on behind them. */
const refuse = ({ call, errno }) => [
  [LOAD_WORD, 0, 0, NUMBER_AT],
  [JUMP_EQUAL, 0, 1, NUMBERS[call]],
  [RETURN, 0, 0, ERRNO | errno],
];

if (isMainThread) {
  const instructions = [...JSON.parse(process.env.PENSTOCK_TEST_REFUSED).flatMap(refuse), [RETURN, 0, 0, ALLOW]];
  const filter = Buffer.alloc(instructions.length * 8);
  for (const [index, [code_, whenTrue, whenFalse, value]] of instructions.entries()) {
    filter.writeUInt16LE(code_, index * 8);
    filter.writeUInt8(whenTrue, index * 8 + 2);
    filter.writeUInt8(whenFalse, index * 8 + 3);
    filter.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  const program = Buffer.alloc(16);
  program.writeUInt16LE(instructions.length, 0);
  program.writeBigUInt64LE(koffi.address(filter), 8);
  const libc = koffi.load(null);
  const prctl = libc.func('int prctl(int, uint64_t, uint64_t, uint64_t, uint64_t)');
  const syscall = libc.func('long syscall(long, long, long, void *)');
  const PR_SET_NO_NEW_PRIVS = 38;
  const SECCOMP_SET_MODE_FILTER = 1;
  const SECCOMP_FILTER_FLAG_TSYNC = 1;
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(NUMBERS.seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program) !== 0)
    throw new Error(`seccomp: errno ${koffi.errno()}`);
}
