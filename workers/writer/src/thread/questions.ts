/** What the writes of this thread ask the queue, and the answers that come back from the main thread. */
import { type AppendAnswer, fromWire } from '@penstock/contract';
import type { AskQueue } from '@penstock/sink';
import type { FromWriter, QueueAnswer } from '../protocol.ts';

interface Asker {
  resolve: (answer: AppendAnswer) => void;
  reject: (error: Error) => void;
}

export class Questions {
  /** Posts to the main thread; set by the session. */
  post: (message: FromWriter) => void = () => {};
  /** By the number of each question that is not answered yet. */
  readonly #askers = new Map<number, Asker>();
  #count = 0;

  readonly ask: AskQueue = (question) =>
    new Promise((resolve, reject) => {
      const number = (this.#count += 1);
      this.#askers.set(number, { resolve, reject });
      this.post({ number, question });
    });

  take(message: QueueAnswer): void {
    const asker = this.#askers.get(message.number);
    this.#askers.delete(message.number);
    if ('answer' in message) asker?.resolve(message.answer);
    else asker?.reject(fromWire(message.error));
  }
}
