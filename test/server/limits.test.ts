// How much of the server one address may have: connections, whatever is asked on them or not, and guesses at credentials.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { networkOf } from "../../src/server/limits.js";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";
import { closed } from "../support/framed-link.js";
import { basic, bearer, hashOf } from "./credentials.js";
import { startServer } from "./serving.js";

failOnLeaks();

const MOST_OF_ONE_ADDRESS = 5_000;
// Fewer than the system keeps for a server that has not got to them yet.
const AT_ONCE = 250;
// Each connection is a file, here and in the server.
const mayOpen = filesLimit() > MOST_OF_ONE_ADDRESS + 500;
const REQUEST = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n";

/**
 * So many connections on which nothing goes on any more; they end with the test. Each has had an answer: the server has it,
 * and keeps it for longer than one on which nothing was ever asked.
 */
async function openIdle(url: string, count: number): Promise<readonly Socket[]> {
  const { hostname, port } = new URL(url);
  const sockets: Socket[] = [];
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map((socket) => closed(socket)));
  });
  while (sockets.length < count) {
    const more = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, () => connect(Number(port), hostname));
    sockets.push(...more);
    const answers = more.map(async (socket) => {
      socket.on("error", () => undefined).write(`${REQUEST}\r\n`);
      await once(socket, "data");
    });
    await within(Promise.all(answers), `${sockets.length} connections to be answered`);
  }
  return sockets;
}

/** What is answered on a new connection from an address of this machine; nothing where it is just closed. */
async function answerTo(url: string, localAddress: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, localAddress });
  socket.write(`${REQUEST}Connection: close\r\n\r\n`);
  return within(
    readText(socket).catch(() => ""),
    "an answer, or the end",
  );
}

/** How many files a process may have open here; where that cannot be seen, as many as it likes. */
function filesLimit(): number {
  if (process.platform !== "linux") return Number.POSITIVE_INFINITY;
  return Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Number.POSITIVE_INFINITY);
}

test.skipIf(!mayOpen)(
  "one address has so many connections and no more, idle as they are; the others are not held up by it",
  async () => {
    // It is another limit that is looked at.
    const { url } = await startServer(await openFleet("sqlite"), "server", { settings: { serve: { rate: 100_000 } } });
    const idle = await openIdle(url, MOST_OF_ONE_ADDRESS);
    expect(await answerTo(url, "127.0.0.1")).toBe("");
    expect(await answerTo(url, "127.0.0.2")).toMatch(/^HTTP\/1.1 200 /);
    idle[0]?.destroy();
    await until(async () => (await answerTo(url, "127.0.0.1")).startsWith("HTTP/1.1 200 "), "the one that ended to make room");
  },
);

test.skipIf(!mayOpen)(
  "an address that is under no limit may have more: a proxy's connections are those of all its clients",
  async () => {
    const { url } = await startServer(await openFleet("sqlite"), "server", { settings: { serve: { rate: 0 } } });
    await openIdle(url, MOST_OF_ONE_ADDRESS);
    expect(await answerTo(url, "127.0.0.1")).toMatch(/^HTTP\/1.1 200 /);
  },
);

test.each([
  ["an IPv4 address", "192.0.2.7", "192.0.2.7"],
  ["the same in a socket for both kinds", "::ffff:192.0.2.7", "192.0.2.7"],
  ["an IPv6 address's network", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["the same network with zeros left out", "2001:db8:1:2::6", "2001:db8:1:2::/64"],
  ["one with zeros in its network", "2001:db8::6", "2001:db8:0:0::/64"],
  ["a link's, whatever the interface", "fe80::1%eth0", "fe80:0:0:0::/64"],
  ["this machine's", "::1", "0:0:0:0::/64"],
  ["a socket of the file system", undefined, "local"],
])("what counts as one address is %s", (_, address, network) => {
  expect(networkOf(address)).toBe(network);
});

test("a guess at a token is charged for each token that it may be, and the same one only once", async () => {
  const names = Array.from({ length: 8 }, (_, index) => `c${index}`);
  const tokens = Object.fromEntries(names.map((name) => [name, { token: hashOf(`token-of-${name}`), may: ["read"] }]));
  const access = { ...tokens, ann: { password: hashOf("ann's"), may: ["read"] } };
  const { ask } = await startServer(await openFleet("sqlite"), "server", { settings: { access } });
  const askWith = (credentials: Readonly<Record<string, string>>) => ask("GET", "/locks", undefined, credentials);
  const statusWith = async (credentials: Readonly<Record<string, string>>) => (await askWith(credentials)).status;
  // A right one costs nothing once that is known, however far back in the list it is.
  expect(await statusWith(bearer("token-of-c7"))).toBe(200);
  // Of twenty there are four left after two guesses; the third, at eight tokens, is one too many.
  for (const guess of ["first", "second", "second", "first"])
    expect([guess, await statusWith(bearer(guess))]).toEqual([guess, 401]);
  const third = await askWith(bearer("third"));
  expect(third.status).toBe(429);
  // The four that are missing come back one every three seconds.
  const retryAfterS = Number(third.headers.get("Retry-After"));
  expect(retryAfterS).toBeGreaterThan(0);
  expect(retryAfterS).toBeLessThanOrEqual(12);
  // A password is checked against one hash: for that there is enough. A guess that was charged already is not looked at again.
  for (const guess of ["a", "b", "c"]) expect([guess, await statusWith(basic("ann", guess))]).toEqual([guess, 401]);
  expect(await statusWith(bearer("first"))).toBe(401);
  expect(await statusWith(bearer("token-of-c7"))).toBe(200);
});
