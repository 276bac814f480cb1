/** The process that started this one with a channel: it may be gone at any moment. */

/**
 * Sends `message` to it, if there is one. Resolves once it has it, or has gone: that is seen by 'disconnect', and is no error of
 * this process, which would end it.
 */
export function reportToStarter(message: object): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, () => resolve());
  });
}

/** Ends the channel, which keeps this process alive. */
export function leaveStarter(): void {
  if (process.connected) process.disconnect();
}
