/** Whether a root itself can be used, whatever a job wants to do in it. */
import { access, constants, opendir } from 'node:fs/promises';
import { textOfCode } from '@penstock/contract';
import type { RootConfig } from '@penstock/disk';
import { answerInTime } from '../admission/file-system.ts';

export interface Condition {
  /** Why nothing can be read there, or written on its file system; null if both are possible. */
  fault: { code: string; reason: string } | null;
  /** Whether files may be made right in it. If not, its subdirectories may yet be writable. */
  isOpen: boolean;
}

/** Looks at a root: never rejects. */
export type Inspect = (root: RootConfig) => Promise<Condition>;

export const inspectRoot: Inspect = async ({ path, writable }) => {
  try {
    await answerInTime(look(path), path);
    const denied = writable ? await answerInTime(codeOf(access(path, constants.W_OK)), path) : null;
    if (denied === 'EACCES') return { fault: null, isOpen: false };
    return { fault: denied === null ? null : faultOf(denied), isOpen: denied === null };
  } catch (error) {
    return { fault: faultOf((error as NodeJS.ErrnoException).code ?? 'EUNKNOWN'), isOpen: false };
  }
};

/** @throws if it cannot be entered, or its first entry cannot be read: some disks fail there only */
async function look(path: string): Promise<void> {
  await access(path, constants.X_OK);
  const directory = await opendir(path, { bufferSize: 1 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES') return null; // it may be entered and not listed
    throw error;
  });
  if (directory === null) return;
  try {
    await directory.read();
  } finally {
    await directory.close();
  }
}

async function codeOf(call: Promise<void>): Promise<string | null> {
  try {
    await call;
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EUNKNOWN';
  }
}

const faultOf = (code: string): NonNullable<Condition['fault']> => ({ code, reason: textOfCode(code) });
