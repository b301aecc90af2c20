// SQL as text: literals that need no escaping, the server's clock, and the tables' names. What stands here and in the texts that are made
// of it is in the documentation of both MariaDB and MySQL.

/**
 * Text as the bytes of its UTF-8. In hexadecimal it means the same in every SQL mode and character set, and nothing in it can end the
 * literal.
 */
export function bytes(text: string): string {
  return `X'${Buffer.from(text).toString("hex")}'`;
}

export function bytesOrNull(text: string | null): string {
  return text === null ? "NULL" : bytes(text);
}

/** A whole number. */
export function number(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number that a column holds`);
  return String(value);
}

/** Whole milliseconds since 1970 when a statement began: in every time zone the same. */
export const NOW = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000";

// A text can fail behind its COMMIT as well, where nothing is rolled back any more: between these two it says so.
export const IS_COMMITTED = "SET @committed = 1";
export const IS_READ = "SET @committed = 0";

/** After a failure: rolls back, and asks whether there was nothing left to roll back. */
export const ROLL_BACK = `ROLLBACK; SELECT COALESCE(@committed, 0) + 0; ${IS_READ}`;

/** The names of the tables, which no quoting changes. */
export interface Tables {
  /** One row: what the tables are, and the numbers that are given out. Every commit locks it first. */
  readonly root: string;
  readonly entries: string;
  readonly sessions: string;
  readonly archive: string;
  readonly documents: string;
  /** Which queues and documents the latest commits have changed. */
  readonly changes: string;
}

export function tablesOf(prefix: string): Tables {
  return {
    root: `${prefix}root`,
    entries: `${prefix}entries`,
    sessions: `${prefix}sessions`,
    archive: `${prefix}archive`,
    documents: `${prefix}documents`,
    changes: `${prefix}changes`,
  };
}

/** A row of a result, its values in the order in which they were asked for. Bytes are buffers, numbers numbers. */
export type Row = readonly unknown[];

export function textIn(value: unknown): string {
  return (value as Buffer).toString("utf8");
}

export function textOrNullIn(value: unknown): string | null {
  return value === null ? null : textIn(value);
}

export function numberIn(value: unknown): number {
  return Number(value);
}
