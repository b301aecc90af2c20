// ZooKeeper's binary form (jute): requests written straight into their frames, answers read in place, and the stream cut into frames.
// Every hand-off of a lock passes through here, so this file builds no object that nobody sends or reads.

const LENGTH = 4;
/** The head of a request: its length, its number and its type. */
const REQUEST_HEAD = LENGTH + 4 + 4;
const TYPE_AT = LENGTH + 4;
/** The head of an answer: its length, the number of its request, the server's newest transaction, and an error code. */
export const ANSWER_HEAD = LENGTH + 4 + 8 + 4;

/** How many bytes a text takes. */
export function sizeOf(text: string): number {
  return 4 + Buffer.byteLength(text);
}

/** A request that is being written. */
export class Request {
  readonly frame: Buffer;
  #at = REQUEST_HEAD;

  /** @param size how many bytes follow the head */
  constructor(
    readonly type: number,
    size: number,
  ) {
    this.frame = Buffer.allocUnsafe(REQUEST_HEAD + size);
    this.frame.writeInt32BE(REQUEST_HEAD - LENGTH + size, 0);
    this.frame.writeInt32BE(type, TYPE_AT);
  }

  /** Its answer carries the same number. */
  set number(number: number) {
    this.frame.writeInt32BE(number, LENGTH);
  }

  int(value: number): this {
    this.#at = this.frame.writeInt32BE(value, this.#at);
    return this;
  }

  /** Numbers up to 2^53 are exact. */
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

  /** Bytes that are in the binary form already. */
  raw(value: Buffer): this {
    this.#at += value.copy(this.frame, this.#at);
    return this;
  }
}

/** Reads an answer from behind its head on. Throws where the answer ends too early; text that is not UTF-8 does not throw. */
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

  /** Where a text or bytes begin and end. An absent text is empty. */
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

// Exact up to 2^53. A zxid's upper half counts leader elections: two million of them would fit.
export function longAt(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}

// Far more than a server sends (it limits a znode to 1 MiB). A greater length means that the other side speaks another protocol.
const LONGEST_FRAME = 256 * 1_048_576;

/** Cuts what a server sends into frames: four bytes that give the length, and the rest. */
export class Frames {
  /** The frame that has arrived in part. While even its length is incomplete, this buffer holds only the length. */
  #begun: Buffer | null = null;
  #filled = 0;

  /**
   * Gives each whole frame, length included, to `take`, until `take` returns false. Copies the part of `chunk` that it keeps.
   * @throws Error when the bytes cannot be a frame
   */
  push(chunk: Buffer, take: (frame: Buffer) => boolean): void {
    for (let at = 0; at < chunk.length;) {
      const end = this.#begun === null && chunk.length - at >= LENGTH ? at + LENGTH + lengthAt(chunk, at) : null;
      if (end !== null && end <= chunk.length) {
        if (!take(chunk.subarray(at, end))) return;
        at = end;
      } else {
        const begun = (this.#begun ??= Buffer.allocUnsafe(LENGTH));
        const copied = chunk.copy(begun, this.#filled, at);
        at += copied;
        this.#filled += copied;
        if (this.#filled < begun.length) return;
        if (begun.length === LENGTH) {
          this.#begun = Buffer.allocUnsafe(LENGTH + lengthAt(begun, 0));
          begun.copy(this.#begun);
        } else {
          this.clear();
          if (!take(begun)) return;
        }
      }
    }
  }

  /** Forgets a frame whose rest will never arrive. */
  clear(): void {
    this.#begun = null;
    this.#filled = 0;
  }
}

function lengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readInt32BE(at);
  if (length <= 0 || length > LONGEST_FRAME) throw new Error("what answers there does not speak ZooKeeper's protocol");
  return length;
}
