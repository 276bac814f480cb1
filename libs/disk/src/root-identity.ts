/**
 * What distinguishes a directory from every other: its device and inode, and the mount that it was reached by.
 *
 * It is compared with each write, so a reading stays in one buffer of the module, where it is compared word by word: no
 * object and no string is made. What the functions below call the last reading is that of the last readIdentity().
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

/** A directory as it was when it was opened. */
export class DirectoryIdentity {
  #inodeLow = 0;
  #inodeHigh = 0;
  #major = 0;
  #minor = 0;
  /** 0 if the kernel reports none. */
  mountId = 0;

  /** Becomes that of the last reading. */
  takeLast(): void {
    this.#inodeLow = words[INODE_LOW]!;
    this.#inodeHigh = words[INODE_HIGH]!;
    this.#major = words[DEVICE_MAJOR]!;
    this.#minor = words[DEVICE_MINOR]!;
    this.mountId = lastMountId();
  }

  /** True if the last reading was of this directory. */
  get isLast(): boolean {
    return (
      this.#inodeLow === words[INODE_LOW] &&
      this.#inodeHigh === words[INODE_HIGH] &&
      this.#major === words[DEVICE_MAJOR] &&
      this.#minor === words[DEVICE_MINOR] &&
      this.mountId === lastMountId()
    );
  }
}

/** Reads what stands at the absolute `path`, symbolic links followed: 0 or -errno. */
export function readIdentity(path: string): number {
  return native.statx(native.AT_FDCWD, path, 0, STATX_INO | STATX_MNT_ID, buffer);
}

/** Reads what `fd` has open: 0 or -errno. */
export function readIdentityOf(fd: number): number {
  return native.statx(fd, '', native.AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, buffer);
}

/** The id of the mount of the last reading; 0 if the kernel reports none. */
export function lastMountId(): number {
  return (words[MASK]! & STATX_MNT_ID) === 0 ? 0 : words[MOUNT_ID_LOW]!;
}
