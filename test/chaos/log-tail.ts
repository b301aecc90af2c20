// What a fleet's actions have said last: the end of a log that grows, read piece by piece, because it is looked at often.
import { closeSync, openSync, readSync } from "node:fs";

/** The last line of a node. */
export interface LastLine {
  /** Its number in the log. */
  readonly number: number;
  /** Its first word. */
  readonly what: string;
}

export class LogTail {
  readonly #path: string;
  readonly #last = new Map<string, LastLine>();
  #offset = 0;
  #number = 0;
  #rest = "";

  constructor(path: string) {
    this.#path = path;
  }

  /** The last line of a node; `null` when it has said nothing yet. */
  lastOf(node: string): LastLine | null {
    return this.#last.get(node) ?? null;
  }

  /** Reads what has come since the last time. */
  read(): void {
    const file = openSync(this.#path, "r");
    try {
      const piece = Buffer.alloc(65_536);
      for (let length = readSync(file, piece, 0, piece.length, this.#offset); length > 0;) {
        this.#offset += length;
        const lines = (this.#rest + piece.toString("latin1", 0, length)).split("\n");
        this.#rest = lines.pop() as string;
        for (const line of lines) this.#note(line);
        length = readSync(file, piece, 0, piece.length, this.#offset);
      }
    } finally {
      closeSync(file);
    }
  }

  #note(line: string): void {
    this.#number += 1;
    const [what, , node] = line.split(" ");
    if (what !== undefined && node !== undefined) this.#last.set(node, { number: this.#number, what });
  }
}
