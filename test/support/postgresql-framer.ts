// PostgreSQL's protocol for the fault proxy. A request is all that a client sends up to its Sync, a reply all up to the server's word that it
// is ready for the next: so a reply that was lost belongs to a transaction that is over.
import type { Asked, Direction, Framer, Protocol, Tag } from "./framer.js";

// Replies come in the order of their requests. What belongs to logging in is answered by messages without an order.
const REQUEST = "request";
const LOGGING_IN = "logging in";

export const POSTGRESQL: Protocol<string, never> = {
  createFramer: () => new PostgresFramer(),
  nameOf: (operation) => operation,
  sessionId: () => "",
};

const LENGTH_BYTES = 4;

/** The first parameter of a request, as text; `null` where it has none. */
export function firstValueOf(request: Buffer): string | null {
  const bind = messagesIn(request).find((message) => message[0] === code("B"));
  if (bind === undefined) return null;
  // Behind its head: the names of the portal and of the statement, both empty, and the parameters' formats.
  const formats = bind.readInt16BE(7);
  const values = 9 + 2 * formats;
  if (bind.readInt16BE(values) === 0) return null;
  const length = bind.readInt32BE(values + 2);
  return length < 0 ? null : bind.toString("utf8", values + 6, values + 6 + length);
}

//   logging in → (the server is ready) asking
class PostgresFramer implements Framer<string, never> {
  readonly #left: Record<Direction, Buffer> = { requests: Buffer.alloc(0), replies: Buffer.alloc(0) };
  /** Messages of a request or reply that is not whole yet. */
  readonly #gathered: Record<Direction, Buffer[]> = { requests: [], replies: [] };
  #hasBegun = false;
  #isIn = false;
  #isReadyReply: Buffer | null = null;

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    this.#left[direction] = Buffer.concat([this.#left[direction], chunk]);
    const frames: Buffer[] = [];
    for (let message = this.#take(direction); message !== null; message = this.#take(direction)) {
      const frame = this.#gather(direction, message);
      if (frame !== null) frames.push(frame);
    }
    return frames;
  }

  read(request: Buffer): Asked<string> {
    const [kind] = request;
    if (kind === code("Q")) return { operation: "script", tag: REQUEST };
    if (kind !== code("P")) return { operation: "log in", tag: LOGGING_IN };
    const question = request.toString("utf8", LENGTH_BYTES + 2, request.indexOf(0, LENGTH_BYTES + 2));
    return { operation: /^SELECT "[^"]+"\.(\w+)\(/.exec(question)?.[1] ?? "other", tag: REQUEST };
  }

  isAbout(request: Buffer, claim: string): boolean {
    return request.includes(claim);
  }

  tagAnswered(reply: Buffer): Tag | null {
    if (reply.at(-LENGTH_BYTES - 2) !== code("Z")) return null;
    if (this.#isIn && this.#isReadyReply !== reply) return REQUEST;
    // The first time that the server is ready it has let the client in.
    this.#isIn = true;
    this.#isReadyReply = reply;
    return null;
  }

  sessionIn(): null {
    return null;
  }

  asUnknown(request: Buffer): Buffer {
    return request;
  }

  #take(direction: Direction): Buffer | null {
    const left = this.#left[direction];
    // The first message of a client has no letter in front.
    const head = direction === "requests" && !this.#hasBegun ? 0 : 1;
    if (left.length < head + LENGTH_BYTES) return null;
    const length = head + left.readInt32BE(head);
    if (length > 64 * 1024 * 1024 || length < head + LENGTH_BYTES) throw new Error("not PostgreSQL's protocol");
    if (left.length < length) return null;
    if (direction === "requests") this.#hasBegun = true;
    this.#left[direction] = left.subarray(length);
    return left.subarray(0, length);
  }

  #gather(direction: Direction, message: Buffer): Buffer | null {
    const gathered = this.#gathered[direction];
    gathered.push(message);
    const kind = String.fromCharCode(message[0] as number);
    const isWhole =
      direction === "requests"
        ? !"PBDEC".includes(kind)
        : kind === "Z" || ("RKSANE".includes(kind) && (gathered.length === 1 || kind === "E"));
    return isWhole ? Buffer.concat(gathered.splice(0)) : null;
  }
}

function messagesIn(frame: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < frame.length;) {
    const length = 1 + frame.readInt32BE(at + 1);
    messages.push(frame.subarray(at, at + length));
    at += length;
  }
  return messages;
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}
