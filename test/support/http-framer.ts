// HTTP/1.1 for the fault proxy: messages with a length, one after the other on each connection. Which operation a request is, the
// protocol that is spoken over it says.
import type { Asked, Direction, Framer, Protocol } from "./framer.js";

/** Replies come in the order of their requests. */
const IN_ORDER = 0;
const HEAD_END = "\r\n\r\n";

export class HttpFramer implements Framer<string, never> {
  readonly #rest: Record<Direction, Buffer> = { requests: Buffer.alloc(0), replies: Buffer.alloc(0) };

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    let rest = Buffer.concat([this.#rest[direction], chunk]);
    const frames: Buffer[] = [];
    for (;;) {
      const head = rest.indexOf(HEAD_END);
      if (head < 0) break;
      const length = /^content-length: *(\d+)/im.exec(rest.toString("latin1", 0, head))?.[1];
      if (length === undefined) throw new Error("an HTTP message without a length");
      const end = head + HEAD_END.length + Number(length);
      if (rest.length < end) break;
      frames.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#rest[direction] = rest;
    return frames;
  }

  read(request: Buffer): Asked<string> {
    return { operation: targetOf(request), tag: IN_ORDER };
  }

  isAbout(request: Buffer, claim: string): boolean {
    return request.includes(claim);
  }

  tagAnswered(): number {
    return IN_ORDER;
  }

  sessionIn(): null {
    return null;
  }

  asUnknown(request: Buffer): Buffer {
    const text = request.toString("latin1");
    return Buffer.from(text.replace(/^(x-amz-target: *[^.]*\.).*$/im, "$1Unheard"), "latin1");
  }
}

/** DynamoDB over HTTP. Sessions are items there, of which the proxy knows nothing. */
export const DYNAMO_PROTOCOL: Protocol<string, never> = {
  createFramer: () => new HttpFramer(),
  nameOf: (operation) => operation,
  sessionId: (session) => session,
};

/** A message's body. */
export function bodyOf(message: Buffer): string {
  return message.toString("utf8", message.indexOf(HEAD_END) + HEAD_END.length);
}

function targetOf(request: Buffer): string {
  return /^x-amz-target: *[^.]*\.(\w+)/im.exec(request.toString("latin1"))?.[1] ?? "";
}
