/** One iocb carried out by the plain calls: for the ports that have no kernel behind them to do it later. */
import { type Iocb, OPCODE_FDSYNC, OPCODE_FSYNC, OPCODE_PREAD, OPCODE_PWRITE } from './abi.ts';
import { native } from '@penstock/native';

const EINVAL = 22;

/** Carries `iocb` out now, on its descriptor and its memory: bytes moved (0 for a sync), or -errno. */
export function carryOut(iocb: Readonly<Iocb>): number {
  switch (iocb.opcode) {
    case OPCODE_PREAD:
      return native.pread(iocb.fd, iocb.address, iocb.length, iocb.offset);
    case OPCODE_PWRITE:
      return native.pwrite(iocb.fd, iocb.address, iocb.length, iocb.offset);
    case OPCODE_FDSYNC:
      return native.fdatasync(iocb.fd);
    case OPCODE_FSYNC:
      return native.fsync(iocb.fd);
    default:
      return -EINVAL;
  }
}
