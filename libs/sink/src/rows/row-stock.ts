/** What hands out the rows of one write, and takes them back from the slots that carried them. */
export interface RowStock {
  /** The row that take() will give out, while fewer than `usedMax` are in use; else -1. */
  peek(usedMax: number): number;
  /** Takes the row that peek() named. */
  take(): void;
  /** True if nobody uses any row. */
  readonly allFree: boolean;
  /** No slot carries `row` any more. */
  put(row: number): void;
}
