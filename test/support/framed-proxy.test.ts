// The fault proxy with a protocol that has nothing in common with ZooKeeper's: lines, replies in the order of the requests, and
// news from the server in between. What the proxy does with ZooKeeper's is fault-proxy.test.ts's.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { type FramedProxy, openFramedProxy } from "./framed-proxy.js";
import type { Direction, Framer, Protocol } from "./framer.js";
import { isPending, until } from "./wait.js";

const LINES: Protocol<string, string> = {
  createFramer: () => new LineFramer(),
  nameOf: (word) => word,
  sessionId: (session) => session,
};

/** `PUT CLAIM` is answered by `done`, `GET CLAIM` by `there` or `absent`, `HELLO` by `session ID`. News begin with `!`. */
class LineFramer implements Framer<string, string> {
  readonly #pending: Record<Direction, string> = { requests: "", replies: "" };

  split(direction: Direction, chunk: Buffer): readonly Buffer[] {
    const lines = (this.#pending[direction] + chunk.toString("latin1")).split("\n");
    this.#pending[direction] = lines.pop() ?? "";
    return lines.map((line) => Buffer.from(`${line}\n`, "latin1"));
  }

  read(request: Buffer) {
    return { operation: request.toString("latin1").trimEnd().split(" ")[0] ?? "", tag: "in order" };
  }

  isAbout(request: Buffer, claim: string): boolean {
    return request.toString("latin1").trimEnd().split(" ")[1] === claim;
  }

  tagAnswered(reply: Buffer): string | null {
    return reply[0] === "!".charCodeAt(0) ? null : "in order";
  }

  sessionIn(reply: Buffer): string | null {
    return /^session (\S+)\n$/.exec(reply.toString("latin1"))?.[1] ?? null;
  }

  asUnknown(request: Buffer): Buffer {
    return Buffer.concat([Buffer.from("X"), request]);
  }
}

let claims: Set<string>;
let proxy: FramedProxy<string, string>;

beforeEach(async () => {
  claims = new Set();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    createInterface({ input: socket }).on("line", (line) => socket.write(answerTo(line)));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await openFramedProxy(LINES, { host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  onTestFinished(async () => {
    await proxy.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
});

function answerTo(line: string): string {
  const [word, claim = ""] = line.split(" ");
  if (word === "HELLO") return "session s1\n";
  if (word === "GET") return `${claims.has(claim) ? "there" : "absent"}\n`;
  if (word !== "PUT") return "unknown\n";
  claims.add(claim);
  return `! ${claim}\ndone\n`;
}

interface Client {
  readonly said: readonly string[];
  readonly ended: Promise<unknown>;
  send(text: string): void;
}

async function openClient(): Promise<Client> {
  const socket = connect(proxy.port, proxy.host);
  onTestFinished(() => void socket.destroy());
  socket.setNoDelay(true);
  const said: string[] = [];
  createInterface({ input: socket }).on("line", (line) => said.push(line));
  const ended = once(socket, "close");
  await once(socket, "connect");
  return { said, ended, send: (text) => void socket.write(text) };
}

test("lines pass in whatever pieces they come, news between them, and the session is known", async () => {
  const client = await openClient();
  client.send("HELLO\nPU");
  client.send("T a\nGET a\nGET b\n");
  await until(() => client.said.length === 5, "all that the server says");
  expect(client.said).toEqual(["session s1", "! a", "done", "there", "absent"]);
  expect(proxy.sessions).toEqual(["s1"]);
  expect(["HELLO", "PUT", "GET"].map((word) => proxy.count(word))).toEqual([1, 1, 2]);
});

test("the reply about one claim is dropped, and no other", async () => {
  const client = await openClient();
  const dropped = proxy.dropReply({ operation: ["PUT", "GET"], claim: "b" });
  expect(proxy.armed).toEqual(["drop-reply PUT or GET"]);
  client.send("PUT a\nPUT b\n");
  expect((await dropped).frame.toString()).toBe("PUT b\n");
  await client.ended;
  expect(client.said.filter((line) => line === "done")).toHaveLength(1);
  expect([...claims]).toEqual(["a", "b"]);
});

test("the request about one claim is dropped before it has an effect", async () => {
  const client = await openClient();
  const dropped = proxy.dropRequest({ operation: "PUT", claim: "b" });
  client.send("PUT a\nPUT b\n");
  await dropped;
  await client.ended;
  expect([...claims]).not.toContain("b");
});

test("a request is held with all that follow it, is read once, and goes on", async () => {
  const client = await openClient();
  const held = proxy.holdRequest("PUT");
  client.send("PUT a\nGET a\n");
  await held.caught;
  expect(await isPending(client.ended)).toBe(true);
  expect([...claims]).toEqual([]);
  held.release();
  await until(() => client.said.length === 3, "the answers");
  expect(client.said).toEqual(["! a", "done", "there"]);
  expect(proxy.count("PUT")).toBe(1);
});

test("a reply is held with all that follow it, and what came before it has gone on", async () => {
  const client = await openClient();
  const held = proxy.holdReply({ operation: "PUT", claim: "a" });
  client.send("PUT a\nGET a\n");
  await held.caught;
  await until(() => client.said.length === 1, "the news");
  expect([...claims]).toEqual(["a"]);
  held.release();
  await until(() => client.said.length === 3, "the answers");
  expect(client.said).toEqual(["! a", "done", "there"]);
});

test("servers can be made not to know a request", async () => {
  const client = await openClient();
  proxy.forgetHow("GET");
  client.send("GET a\nPUT a\n");
  await until(() => client.said.length === 3, "the answers");
  expect(client.said).toEqual(["unknown", "! a", "done"]);
});
