// What is asked of a log.

/** The little that is asked of a log: pino's methods of the same names. */
export interface Log {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}
