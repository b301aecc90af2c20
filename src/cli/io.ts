// The standard streams as commands see them, and the colours that they may have. Knows no command.

/** A stream to write to. */
export interface Sink {
  readonly isTerminal: boolean;
  /** The terminal's width in columns; 80 where there is none. */
  readonly columns: number;
  /** The terminal's height in rows; 24 where there is none. */
  readonly rows: number;
  /** Nobody reads any more what is written. */
  readonly isClosed: boolean;
  write(text: string): void;
  /** Resolves when all that was written has gone out, with why it could not, or with `null`. */
  flushed(): Promise<Error | null>;
}

export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** May terminals be sent colours? `NO_COLOR` and dumb terminals say no. */
  readonly mayColour: boolean;
}

/** The part of `process` that is needed. */
export interface ProcessStreams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The process's own streams. What cannot be written is dropped, and `flushed` says why. */
export function openIo(process: ProcessStreams): Io {
  const { NO_COLOR: noColour, TERM: terminal } = process.env;
  return {
    stdout: sinkOf(process.stdout),
    stderr: sinkOf(process.stderr),
    mayColour: (noColour === undefined || noColour === "") && terminal !== "dumb",
  };
}

/** Has the reader gone, as `head` does when it has enough? To most commands that is no failure. */
export function isReaderGone(failure: Error): boolean {
  return (failure as NodeJS.ErrnoException).code === "EPIPE";
}

function sinkOf(stream: NodeJS.WriteStream): Sink {
  let failure: Error | null = null;
  let unwritten = 0;
  const waiting: (() => void)[] = [];
  // An agent goes on with what it does; its exit code says at the end that nobody could read of it.
  const fail = (error: Error) => void (failure ??= error);
  stream.on("error", fail);
  return {
    // Undefined where it is no terminal, whatever its type says.
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

/** Gives a text a colour, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** How text for a stream of `io` is coloured: not at all where it is no terminal. */
export function paintFor(io: Io, stream: "stdout" | "stderr"): Paint {
  if (!io[stream].isTerminal || !io.mayColour) return (_, text) => text;
  return (colour, text) => (text === "" ? "" : `\x1b[${CODES[colour]}m${text}\x1b[0m`);
}
