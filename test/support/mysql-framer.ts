// MySQL's protocol for the fault proxy: packets with their length and their number in front; a reply of several packets, and of several
// results where several statements were sent, which is over with its last packet. Without TLS, compression and packets of 16 MB.
import type { Asked, Direction, Framer, Protocol, Tag } from "./framer.js";

/** What a client's packet is: a part of the handshake, or a command. */
export type MysqlOperation = "handshake" | "query" | "quit" | "other";

export const MYSQL: Protocol<MysqlOperation, never> = {
  createFramer: () => new MysqlFramer(),
  nameOf: (operation) => operation,
  sessionId: () => "",
};

const HEADER_BYTES = 4;
const COMMANDS: Readonly<Record<number, MysqlOperation>> = { 1: "quit", 3: "query" };

// Replies come in the order of their requests.
const ONE_TAG = "reply";

const [OK, EOF, ERROR] = [0x00, 0xfe, 0xff];
const MORE_RESULTS = 0x0008;

//   greeting → handshake → commands; the reply to one: head → columns → rows → head, where there are more results
class MysqlFramer implements Framer<MysqlOperation, never> {
  readonly #rest: Record<Direction, Buffer> = { requests: Buffer.alloc(0), replies: Buffer.alloc(0) };
  #stage: "greeting" | "handshake" | "head" | "columns" | "rows" = "greeting";

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    let rest = Buffer.concat([this.#rest[direction], chunk]);
    const frames: Buffer[] = [];
    while (rest.length >= HEADER_BYTES && rest.length >= HEADER_BYTES + rest.readUIntLE(0, 3)) {
      const end = HEADER_BYTES + rest.readUIntLE(0, 3);
      frames.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#rest[direction] = rest;
    return frames;
  }

  read(request: Buffer): Asked<MysqlOperation> {
    const isCommand = this.#stage !== "greeting" && this.#stage !== "handshake";
    const operation = isCommand ? (COMMANDS[request[HEADER_BYTES] as number] ?? "other") : "handshake";
    return { operation, tag: ONE_TAG };
  }

  /** Texts are sent as the hexadecimal digits of their bytes. */
  isAbout(request: Buffer, claim: string): boolean {
    return request.includes(Buffer.from(claim).toString("hex"));
  }

  tagAnswered(reply: Buffer): Tag | null {
    return this.#isLast(reply.subarray(HEADER_BYTES)) ? ONE_TAG : null;
  }

  sessionIn(): null {
    return null;
  }

  asUnknown(request: Buffer): Buffer {
    const changed = Buffer.from(request);
    changed[HEADER_BYTES] = 0x7f;
    return changed;
  }

  /** Whether a reply is over with this packet. */
  #isLast(packet: Buffer): boolean {
    const kind = packet[0] as number;
    const isEnd = kind === EOF && packet.length < 9;
    switch (this.#stage) {
      case "greeting":
        this.#stage = "handshake";
        return false;
      case "handshake":
        if (kind === OK) this.#stage = "head";
        return true;
      case "head":
        if (kind === OK) return (statusOf(packet) & MORE_RESULTS) === 0;
        if (kind !== ERROR) this.#stage = "columns";
        return kind === ERROR;
      case "columns":
        if (isEnd) this.#stage = "rows";
        return false;
      case "rows":
        if (!isEnd && kind !== ERROR) return false;
        this.#stage = "head";
        return kind === ERROR || (packet.readUInt16LE(3) & MORE_RESULTS) === 0;
    }
  }
}

/** The status in an OK packet, behind two numbers of variable length. */
function statusOf(packet: Buffer): number {
  const first = 1 + lengthOfNumber(packet[1] as number);
  return packet.readUInt16LE(first + lengthOfNumber(packet[first] as number));
}

function lengthOfNumber(first: number): number {
  return { 0xfc: 3, 0xfd: 4, 0xfe: 9 }[first] ?? 1;
}
