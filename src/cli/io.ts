// The standard streams as commands see them, and their colours. Knows no command.

/** A stream to write to. */
export interface Sink {
  readonly isTerminal: boolean;
  /** The terminal's width in columns; 80 without a terminal. */
  readonly columns: number;
  /** The terminal's height in rows; 24 without a terminal. */
  readonly rows: number;
  /** Whether the reader is gone. */
  readonly isClosed: boolean;
  write(text: string): void;
  /** Resolves when everything has been written: with `null`, or with why it could not be. */
  flushed(): Promise<Error | null>;
}

export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Whether terminals get colours. `NO_COLOR` and dumb terminals say no. */
  readonly mayColour: boolean;
}

/** The part of `process` that this needs. */
export interface ProcessStreams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The process's own streams. They drop what cannot be written, and `flushed` says why. */
export function openIo(process: ProcessStreams): Io {
  const { NO_COLOR: noColour, TERM: terminal } = process.env;
  return {
    stdout: sinkOf(process.stdout),
    stderr: sinkOf(process.stderr),
    mayColour: (noColour === undefined || noColour === "") && terminal !== "dumb",
  };
}

/** Whether the reader has gone, as `head` does when it has enough. For most commands that is no failure. */
export function isReaderGone(failure: Error): boolean {
  return (failure as NodeJS.ErrnoException).code === "EPIPE";
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  let failure: Error | null = null;
  let unwritten = 0;
  const waiting: (() => void)[] = [];
  // An agent goes on with its work; at the end its exit code says that the output was lost.
  const fail = (error: Error) => void (failure ??= error);
  stream.on("error", fail);
  return {
    // The type lies: without a terminal this is undefined.
    isTerminal: (stream.isTTY as boolean | undefined) === true,
    // Some pseudo-terminals say 0.
    get columns() {
      return (stream as { readonly columns?: number }).columns || 80;
    },
    get rows() {
      return (stream as { readonly rows?: number }).rows || 24;
    },
    get isClosed() {
      return failure !== null;
    },
    write(text) {
      if (failure !== null || text === "") return;
      unwritten += 1;
      stream.write(text, (error) => {
        if (error) fail(error);
        unwritten -= 1;
        if (unwritten === 0) for (const resolve of waiting.splice(0)) resolve();
      });
    },
    async flushed() {
      if (unwritten > 0) await new Promise<void>((resolve) => waiting.push(resolve));
      return failure;
    },
  };
}

export type Colour = "red" | "yellow" | "green" | "dim" | "bold";

const CODES: { readonly [C in Colour]: number } = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 };

/** Colours a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** Colours text for a stream of `io`; leaves it plain if that is no terminal. */
export function paintFor(io: Io, stream: "stdout" | "stderr"): Paint {
  if (!io[stream].isTerminal || !io.mayColour) return (_, text) => text;
  return (colour, text) => (text === "" ? "" : `\x1b[${CODES[colour]}m${text}\x1b[0m`);
}
