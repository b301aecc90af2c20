// ZooKeeper's binary form (jute): requests written straight into their frames, answers read in place. Every hand-off of a
// lock is made of these, so nothing is built here that is not sent or asked for.

const LENGTH = 4;
/** Of a request: its length, its number and its type. */
const REQUEST_HEAD = LENGTH + 4 + 4;
const TYPE_AT = LENGTH + 4;
/** Of an answer: its length, the number of its request, the server's newest transaction, and an error code. */
export const ANSWER_HEAD = LENGTH + 4 + 8 + 4;

/** How many bytes a text takes. */
export function sizeOf(text: string): number {
  return 4 + Buffer.byteLength(text);
}

/** A request in the making. */
export class Request {
  readonly frame: Buffer;
  #at = REQUEST_HEAD;

  /** @param size of what follows the head, in bytes */
  constructor(
    readonly type: number,
    size: number,
  ) {
    this.frame = Buffer.allocUnsafe(REQUEST_HEAD + size);
    this.frame.writeInt32BE(REQUEST_HEAD - LENGTH + size, 0);
    this.frame.writeInt32BE(type, TYPE_AT);
  }

  /** The number by which its answer is known. */
  set number(number: number) {
    this.frame.writeInt32BE(number, LENGTH);
  }

  int(value: number): this {
    this.#at = this.frame.writeInt32BE(value, this.#at);
    return this;
  }

  /** A number that is exact: up to 2^53. */
  long(value: number): this {
    this.int(Math.floor(value / 2 ** 32));
    this.#at = this.frame.writeUInt32BE(value % 2 ** 32, this.#at);
    return this;
  }

  flag(value: boolean): this {
    this.#at = this.frame.writeUInt8(value ? 1 : 0, this.#at);
    return this;
  }

  text(value: string): this {
    const length = this.frame.write(value, this.#at + 4);
    this.frame.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
    return this;
  }

  texts(values: readonly string[]): this {
    this.int(values.length);
    for (const value of values) this.text(value);
    return this;
  }

  bytes(value: Buffer): this {
    this.int(value.length);
    return this.raw(value);
  }

  /** What is written already. */
  raw(value: Buffer): this {
    this.#at += value.copy(this.frame, this.#at);
    return this;
  }
}

/** Reads an answer, from behind its head on. What ends too early throws, as what is no text does not. */
export class Answer {
  readonly frame: Buffer;
  at = ANSWER_HEAD;

  constructor(frame: Buffer) {
    this.frame = frame;
  }

  int(): number {
    const value = this.frame.readInt32BE(this.at);
    this.at += 4;
    return value;
  }

  flag(): boolean {
    const value = this.frame.readUInt8(this.at);
    this.at += 1;
    return value !== 0;
  }

  long(): number {
    const value = longAt(this.frame, this.at);
    this.at += 8;
    return value;
  }

  /** Where a text or bytes begin and end; both behind it where there are none. */
  span(): readonly [number, number] {
    const from = this.at + 4;
    const to = from + Math.max(0, this.int());
    if (to > this.frame.length) throw new RangeError("an answer ends in the middle of a text");
    this.at = to;
    return [from, to];
  }

  text(): string {
    const [from, to] = this.span();
    return this.frame.toString("utf8", from, to);
  }
}

// Exact up to 2^53: a zxid's upper half counts leader elections, of which there would have to be two million.
export function longAt(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}
