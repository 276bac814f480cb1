/** Waiting for a promise no longer than so many milliseconds. */

const LATE: unique symbol = Symbol('late');

/** What `promise` comes to, or `otherwise()` if it has not settled within `ms`. The promise itself is not stopped. */
export async function inTime<T>(ms: number, promise: Promise<T>, otherwise: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(resolve, ms, LATE);
  });
  try {
    const first = await Promise.race([promise, late]);
    return first === LATE ? otherwise() : first;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the promise settled, one way or the other, within `ms`. It is not stopped if it did not. */
export function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const settled = (): boolean => true;
  return inTime(ms, promise.then(settled, settled), () => false);
}
