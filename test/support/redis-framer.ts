// Redis's protocol (RESP3) for the fault proxy: arrays of bulk strings from the client, values of any kind from the server, answered in
// the order of the requests. A request is called after its script, and a commit after what it is for.
import type { Step } from "../../src/queue/store.js";
import { LINE, OPEN_SESSION, READ, READ_CLAIM, RENEW } from "../../src/stores/redis/lua.js";
import { COMMIT, COMMIT_FRUGALLY } from "../../src/stores/redis/lua-commit.js";
import { requestOf } from "../../src/stores/memory/index.js";
import type { Asked, Direction, Framer, Protocol, Tag } from "./framer.js";

export const REDIS: Protocol<string, string> = {
  createFramer: () => new RedisFramer(),
  nameOf: (operation) => operation,
  sessionId: (session) => session,
};

const SCRIPTS = [COMMIT, COMMIT_FRUGALLY, LINE, OPEN_SESSION, READ, READ_CLAIM, RENEW];

// Replies come in order: all requests have the same tag.
const IN_ORDER = 0;

// The words of `EVALSHA sha 1 key home …` that are the script's own begin here.
const OWN_WORDS = 5;

class RedisFramer implements Framer<string, string> {
  readonly #rest: Record<Direction, Buffer> = { requests: Buffer.alloc(0), replies: Buffer.alloc(0) };

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    let rest = Buffer.concat([this.#rest[direction], chunk]);
    const frames: Buffer[] = [];
    for (let end = endOfValue(rest, 0); end !== null; end = endOfValue(rest, 0)) {
      frames.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    this.#rest[direction] = rest;
    return frames;
  }

  read(request: Buffer): Asked<string> {
    const words = wordsIn(request);
    const steps = stepsIn(words);
    return { operation: steps === null ? nameOf(words) : requestOf(steps).operation, tag: IN_ORDER };
  }

  isAbout(request: Buffer, claim: string): boolean {
    return request.includes(claim);
  }

  tagAnswered(reply: Buffer): Tag | null {
    return reply.toString("latin1", 0, 1) === ">" ? (isSubscription(reply) ? IN_ORDER : null) : IN_ORDER;
  }

  sessionIn(): string | null {
    return null;
  }

  asUnknown(): Buffer {
    return Buffer.from("*1\r\n$7\r\nUNKNOWN\r\n");
  }
}

/** The steps of a commit; `null` for any other request. */
export function stepsIn(words: readonly string[]): readonly Step[] | null {
  const script = SCRIPTS.find(({ sha, text }) => words[1] === sha || words[1] === text);
  if (script?.name !== "commit") return null;
  return JSON.parse(words[OWN_WORDS] as string) as readonly Step[];
}

/** The words of a request. */
export function wordsIn(request: Buffer): readonly string[] {
  const words: string[] = [];
  let at = request.indexOf("\r\n") + 2;
  while (at < request.length) {
    const end = request.indexOf("\r\n", at);
    const length = Number(request.toString("latin1", at + 1, end));
    words.push(request.toString("utf8", end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
  return words;
}

function nameOf(words: readonly string[]): string {
  const script = SCRIPTS.find(({ sha, text }) => words[1] === sha || words[1] === text);
  return script?.name ?? (words[0] as string);
}

/** What answers SUBSCRIBE looks like a message. */
function isSubscription(reply: Buffer): boolean {
  return /^>3\r\n\$\d+\r\n(?:un)?subscribe\r\n/.test(reply.toString("latin1", 0, 40));
}

/** Where the value that begins here ends; `null` where it is not whole yet. */
function endOfValue(buffer: Buffer, start: number): number | null {
  const line = buffer.indexOf("\r\n", start);
  if (line < 0) return null;
  const kind = String.fromCharCode(buffer[start] as number);
  const head = buffer.toString("latin1", start + 1, line);
  if ("+-:_#,(".includes(kind)) return line + 2;
  const count = Number(head);
  if (!Number.isInteger(count)) throw new Error(`this is not Redis's protocol: ${JSON.stringify(kind + head)}`);
  if ("$=!".includes(kind)) {
    const end = count < 0 ? line + 2 : line + 2 + count + 2;
    return end <= buffer.length ? end : null;
  }
  if (!"*~>%".includes(kind)) throw new Error(`this is not Redis's protocol: ${JSON.stringify(kind + head)}`);
  let end: number | null = line + 2;
  for (let left = kind === "%" ? 2 * count : count; left > 0 && end !== null; left -= 1) end = endOfValue(buffer, end);
  return end;
}
