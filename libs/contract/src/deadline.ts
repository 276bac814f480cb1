/** Waiting for a promise no longer than so many milliseconds. */

const LATE: unique symbol = Symbol('late');

/**
 * What `promise` comes to, or `otherwise()` if it has not settled within `ms`. The promise itself is not stopped.
 * @throws (rejects with) what the promise rejects with, or `otherwise` throws
 */
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
