/**
 * What a write that lengthens a file asks the queue: which of the jobs in the file's record will never run again, and
 * where its own bytes stand if the record no longer lists them. It asks only if the record alone does not answer.
 */
import { constants } from 'node:os';
import { type AppendAnswer, type AppendQuestion, type Fate, IoError } from '@penstock/contract';

const { EBUSY } = constants.errno;

/** Asks the queue of this thread's host. */
export type AskQueue = (question: AppendQuestion) => Promise<AppendAnswer>;

/** Thrown if a record alone does not decide: the write begins once more when `question` is answered. */
export class AnswerWanted {
  readonly path: string;
  readonly question: AppendQuestion;
  /** The texts of the entries that are asked about. */
  readonly lines: string[];

  constructor(path: string, question: AppendQuestion, lines: string[]) {
    this.path = path;
    this.question = question;
    this.lines = lines;
  }
}

/** The answers that one write has so far. */
export interface Answers {
  /** undefined: not asked yet. */
  own: string | null | undefined;
  /** By the text of the entry that was asked about: an entry that has changed since has another text, and no answer. */
  fates: Map<string, Fate>;
}

/** The answers of a write that has asked nothing. */
export const NO_ANSWERS: Answers = { own: undefined, fates: new Map() };

/** More questions than a write ever needs, unless others change the record between one and the next. */
const QUESTIONS_MAX = 8;

/** A write's questions, one at a time. */
export class AppendInquiry {
  readonly #ask: AskQueue;
  readonly #answered: () => void;
  readonly #failed: (error: unknown) => void;
  readonly answers: Answers = { own: undefined, fates: new Map() };
  #count = 0;
  /** True while an answer is waited for. */
  isOpen = false;

  /** @param answered called when the write may begin once more */
  constructor(ask: AskQueue, answered: () => void, failed: (error: unknown) => void) {
    this.#ask = ask;
    this.#answered = answered;
    this.#failed = failed;
  }

  /** Asks what was thrown. @throws `thrown` itself if it is no question; IoError EBUSY after QUESTIONS_MAX questions */
  take(thrown: unknown): void {
    if (!(thrown instanceof AnswerWanted)) throw thrown;
    if (this.#count === QUESTIONS_MAX) {
      const hint = 'What is recorded of earlier appends to it changes all the time: try again.';
      throw new IoError({ syscall: 'fsetxattr', errno: -EBUSY, path: thrown.path, hint });
    }
    this.#count += 1;
    this.isOpen = true;
    this.#put(thrown).then(
      () => this.#end(this.#answered),
      (error: unknown) => this.#end(() => this.#failed(error)),
    );
  }

  #end(proceed: () => void): void {
    this.isOpen = false;
    proceed();
  }

  async #put({ question, lines }: AnswerWanted): Promise<void> {
    const { own, fates } = await this.#ask(question);
    if (question.own !== null) this.answers.own = own;
    for (const [index, line] of lines.entries()) this.answers.fates.set(line, fates[index] ?? 'unknown');
  }
}

/** The answers in a process without a queue, which knows of no job. */
export const askNobody: AskQueue = ({ entries }) =>
  Promise.resolve({ own: null, fates: entries.map(() => 'unknown' as const) });
