// As much of protobuf's encoding as etcd's messages need: varints, bytes and messages in messages. messages.ts says what they mean.

/** What a field holds: a varint, as a number where one holds it, or bytes. */
type Value = number | bigint | Buffer;

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

/** A message in the making. Like protobuf itself it leaves out zeros, false and empty bytes. */
export class MessageWriter {
  readonly #parts: Buffer[] = [];

  integer(field: number, value: number | bigint): this {
    if (value === 0 || value === 0n) return this;
    this.#parts.push(varint((field << 3) | VARINT), varint(value));
    return this;
  }

  flag(field: number, value: boolean | undefined): this {
    return this.integer(field, value === true ? 1 : 0);
  }

  bytes(field: number, value: string | Buffer): this {
    return value.length === 0 ? this : this.message(field, typeof value === "string" ? Buffer.from(value) : value);
  }

  /** Written even when it is empty: it being there says which of several it is. */
  message(field: number, body: Buffer): this {
    this.#parts.push(varint((field << 3) | BYTES), varint(body.length), body);
    return this;
  }

  finish(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** The fields of a message by their numbers, each with all of its values in their order. Throws at what is no message. */
export class MessageReader {
  readonly #fields = new Map<number, Value[]>();

  constructor(bytes: Buffer) {
    let at = 0;
    const next = (): number | bigint => {
      const { value, end } = readVarint(bytes, at);
      at = end;
      return value;
    };
    const take = (length: number): Buffer => {
      if (at + length > bytes.length) throw new RangeError("the message ends within a field");
      const part = bytes.subarray(at, at + length);
      at += length;
      return part;
    };
    while (at < bytes.length) {
      const key = Number(next());
      const field = key >>> 3;
      const kind = key & 7;
      if (kind === VARINT) this.#add(field, next());
      else if (kind === BYTES) this.#add(field, take(Number(next())));
      else if (kind === FIXED_64) take(8);
      else if (kind === FIXED_32) take(4);
      else throw new RangeError(`the message has a field of the unknown kind ${kind}`);
    }
  }

  has(field: number): boolean {
    return this.#fields.has(field);
  }

  /** 0 where it was left out. Revisions and counts fit; what may not fit is read with `identifier`. */
  integer(field: number): number {
    return Number(this.#last(field) ?? 0);
  }

  /** A 64-bit number as text; "0" where it was left out. */
  identifier(field: number): string {
    return String(this.#last(field) ?? 0);
  }

  flag(field: number): boolean {
    return this.integer(field) !== 0;
  }

  text(field: number): string {
    return this.#bytes(this.#last(field)).toString("utf8");
  }

  /** An empty message where it was left out. */
  message(field: number): MessageReader {
    return new MessageReader(this.#bytes(this.#last(field)));
  }

  messages(field: number): readonly MessageReader[] {
    return (this.#fields.get(field) ?? []).map((value) => new MessageReader(this.#bytes(value)));
  }

  #last(field: number): Value | undefined {
    return this.#fields.get(field)?.at(-1);
  }

  #bytes(value: Value | undefined): Buffer {
    return Buffer.isBuffer(value) ? value : EMPTY;
  }

  #add(field: number, value: Value): void {
    const values = this.#fields.get(field);
    if (values === undefined) this.#fields.set(field, [value]);
    else values.push(value);
  }
}

const EMPTY = Buffer.alloc(0);

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  if (typeof value === "number" && value >= 0) {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
  } else {
    // Negative numbers are written as if they were unsigned ones of 64 bits.
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
  }
  return Buffer.from(bytes);
}

// A varint of 64 bits takes ten bytes at most.
const LONGEST_VARINT = 10;

function readVarint(bytes: Buffer, begin: number): { readonly value: number | bigint; readonly end: number } {
  let value = 0;
  let scale = 1;
  let end = begin;
  for (;;) {
    const byte = bytes[end];
    if (byte === undefined || end - begin >= LONGEST_VARINT) throw new RangeError("the message has a number without an end");
    end += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
    scale *= 0x80;
  }
  if (Number.isSafeInteger(value)) return { value, end };
  let exact = 0n;
  for (let at = end - 1; at >= begin; at -= 1) exact = (exact << 7n) | BigInt((bytes[at] as number) & 0x7f);
  return { value: BigInt.asIntN(64, exact), end };
}
