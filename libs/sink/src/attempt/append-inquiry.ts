/**
 * What a write that lengthens a file has to ask the queue: which of the jobs that the file's record names can never come
 * again, and where its own bytes stood if the record was handed over. Asked only where the record alone does not say.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';

const { EBUSY } = constants.errno;

/** What becomes of the job that an entry names. */
export type Fate =
  /** No such job: it was removed, or another one has its id. */
  | 'gone'
  /** It has come to its end, and keeps where its bytes stand: it may be retried by hand. */
  | 'completed'
  | 'failed'
  /** It waits, runs, or will be tried again. */
  | 'alive'
  /** It is another queue's, which was not asked. */
  | 'unknown';

export interface AppendQuestion {
  /** Of the asking write: where do its bytes stand? Asked for the newest answer only. null: not asked. */
  own: { job: string; jobKey: string } | null;
  /** What has become of these? One that has ended is to keep `place`; '' for one whose bytes are about to be cut off. */
  entries: { job: string; jobKey: string; place: string }[];
}

export interface AppendAnswer {
  /** What an earlier question had the job keep; null for nothing. */
  own: string | null;
  /** In the order of the question. */
  fates: Fate[];
}

export type AskQueue = (question: AppendQuestion) => Promise<AppendAnswer>;

/** Thrown where a record does not tell enough: the write begins once more when `question` is answered. */
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

/** What one write has been answered so far. */
export interface Answers {
  /** undefined: not asked yet. */
  own: string | null | undefined;
  /** By the text of the entry that was asked about: what it speaks of may have changed since. */
  fates: Map<string, Fate>;
}

/** Of a write that has asked nothing. */
export const NO_ANSWERS: Answers = { own: undefined, fates: new Map() };

/** More questions than a write ever needs: each is answered for good, unless others change the record meanwhile. */
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

  /** Asks what was thrown, if it is a question. @throws what is none; IoError EBUSY where there is no end of them */
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

  #end(tell: () => void): void {
    this.isOpen = false;
    tell();
  }

  async #put({ question, lines }: AnswerWanted): Promise<void> {
    const { own, fates } = await this.#ask(question);
    if (question.own !== null) this.answers.own = own;
    for (const [index, line] of lines.entries()) this.answers.fates.set(line, fates[index] ?? 'unknown');
  }
}

/** The answers of a process that has no queue: it knows of no job. */
export const askNobody: AskQueue = ({ entries }) =>
  Promise.resolve({ own: null, fates: entries.map(() => 'unknown' as const) });
