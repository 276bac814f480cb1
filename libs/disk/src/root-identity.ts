/**
 * What distinguishes a directory from every other: its device and inode, and the mount that it was reached by. Compared
 * word by word, without an object or a string, since it is compared at each write.
 */
import { native } from '@penstock/native';

// <linux/stat.h>, struct statx: indexes of 32-bit words.
const MASK = 0;
const INODE_LOW = 8;
const INODE_HIGH = 9;
const DEVICE_MAJOR = 34;
const DEVICE_MINOR = 35;
const MOUNT_ID_LOW = 36;
const STATX_INO = 0x100;
const STATX_MNT_ID = 0x1000; // Linux 5.8

const buffer = new Uint8Array(new ArrayBuffer(native.STATX_BYTES));
const words = new Uint32Array(buffer.buffer);

export class Identity {
  #inodeLow = 0;
  #inodeHigh = 0;
  #major = 0;
  #minor = 0;
  /** 0 where the kernel does not say. */
  mountId = 0;

  /** Becomes that of what was looked at last. */
  take(): void {
    this.#inodeLow = words[INODE_LOW]!;
    this.#inodeHigh = words[INODE_HIGH]!;
    this.#major = words[DEVICE_MAJOR]!;
    this.#minor = words[DEVICE_MINOR]!;
    this.mountId = lookedAtMount();
  }

  /** True if what was looked at last is this. */
  get isSeen(): boolean {
    return (
      this.#inodeLow === words[INODE_LOW] &&
      this.#inodeHigh === words[INODE_HIGH] &&
      this.#major === words[DEVICE_MAJOR] &&
      this.#minor === words[DEVICE_MINOR] &&
      this.mountId === lookedAtMount()
    );
  }
}

/** Looks at the absolute `path`, links followed: 0 or -errno. */
export function lookAt(path: string): number {
  return native.statx(native.AT_FDCWD, path, 0, STATX_INO | STATX_MNT_ID, buffer);
}

/** Looks at what `fd` has open: 0 or -errno. */
export function lookAtFd(fd: number): number {
  return native.statx(fd, '', native.AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, buffer);
}

/** The id of the mount that was looked at last; 0 where the kernel does not say. */
export function lookedAtMount(): number {
  return (words[MASK]! & STATX_MNT_ID) === 0 ? 0 : words[MOUNT_ID_LOW]!;
}
