// The server under load, under attack and at its end: limits, health, shutdown, and a socket that a service manager hands over.
import { once } from "node:events";
import { get } from "node:http";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { draftFor } from "../coordinators/conformance/store.js";
import { openFleet, openProxy, STORES } from "../e2e/fleet.js";
import { mentions } from "../support/fault-proxy.js";
import { failOnLeaks } from "../support/leaks.js";
import { freshId } from "../support/roots.js";
import { until, within } from "../support/wait.js";
import { Opcode } from "../support/zookeeper-frames.js";
import { openListening, startActivated } from "./activated.js";
import { startServer } from "./serving.js";

failOnLeaks();

/** A connection on which so much has been sent, and what comes back on it until it is closed. */
function talk(url: string, ...lines: readonly string[]): { readonly socket: Socket; readonly answer: Promise<string> } {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(lines.join("\r\n"));
  const answer = readText(socket).catch(() => "");
  return { socket, answer };
}

describe("limits", () => {
  test("a body that is too large is refused with 413, and nothing is taken", async () => {
    const fleet = await openFleet("sqlite");
    const { ask } = await startServer(fleet);
    const answer = await ask("PUT", "/lock/a", { key: "k", requestor: "x".repeat(600_000) });
    expect(answer.status).toBe(413);
    expect(await fleet.queue("a")).toEqual([]);
  });

  test("headers that are too large are refused with 431", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const { answer } = talk(url, "GET /locks HTTP/1.1", "Host: 127.0.0.1", `X-Large: ${"x".repeat(20_000)}`, "", "");
    expect(await within(answer, "an answer")).toMatch(/^HTTP\/1.1 431 [^]*"error":"the headers have more than/);
  });

  test("what is no HTTP is answered as such", async () => {
    const { url } = await startServer(await openFleet("sqlite"));
    const { answer } = talk(url, "\u0016\u0003\u0001 hello", "", "");
    expect(await within(answer, "an answer")).toMatch(/^HTTP\/1.1 400 /);
  });

  test("clients that send nothing, headers or a body without end are dropped", async () => {
    const { url, ask } = await startServer(await openFleet("sqlite"));
    const talks = [
      talk(url, ""),
      talk(url, "GET /locks HTTP/1.1", "Host: 127.0.0.1", "X-Slow"),
      talk(url, "PUT /lock/a HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 100", "", '{"key"'),
    ];
    for (const { answer } of talks)
      expect(await within(answer, "the connection to be closed", 40_000)).toMatch(/^(HTTP\/1.1 408 |$)/);
    expect((await ask("GET", "/locks")).text).toBe("{}\n");
  });

  test("one address may ask so often and no more, and the others are not held up by it", async () => {
    const { url, ask } = await startServer(await openFleet("sqlite"), "server", { settings: { serve: { rate: 20 } } });
    const answers = await Promise.all(Array.from({ length: 100 }, () => ask("GET", "/locks")));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(20);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(20);
    expect(refused[0]?.json).toEqual({ error: "more than 20 requests a second come from this address; try later" });
    expect(refused[0]?.headers.get("Retry-After")).toBe("1");
    const statusFrom = async (localAddress: string) => {
      const [response] = (await once(get(`${url}/locks`, { localAddress, agent: false }), "response")) as [
        { statusCode: number; resume(): void },
      ];
      response.resume();
      return response.statusCode;
    };
    expect(await statusFrom("127.0.0.2")).toBe(200);
    // What a header says of the address is not believed.
    const forged = await Promise.all(
      Array.from({ length: 100 }, (_, index) => ask("GET", "/locks", undefined, { "X-Forwarded-For": `10.0.0.${index}` })),
    );
    expect(forged.filter(({ status }) => status === 429).length).toBeGreaterThan(20);
  });
});

describe("health", () => {
  const access = { ann: { token: `scrypt:1024:1:1:${"A".repeat(22)}:${"A".repeat(43)}` } };

  test.each(STORES)("on %s it is told to those without credentials as well", async (kind) => {
    const { ask } = await startServer(await openFleet(kind), "server", { settings: { access } });
    expect(await ask("GET", "/healthz")).toMatchObject({ status: 200, json: { status: "serving" } });
    expect(await ask("GET", "/readyz")).toMatchObject({ status: 200, json: { status: "ready" } });
    expect(await ask("GET", "/metrics")).toMatchObject({ status: 401 });
  });

  test("while the store is away the server is not ready, and runs; when it is back it is ready", async () => {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const { ask } = await startServer(fleet, "server", { coordinator: fleet.urlThrough(proxy), settings: { access } });
    expect((await ask("GET", "/readyz")).status).toBe(200);
    await proxy.welcome("refuse");
    await proxy.cut();
    const away = await until(async () => {
      const answer = await ask("GET", "/readyz");
      return answer.status === 503 ? answer : null;
    }, "the server not to be ready");
    expect(away.headers.get("Retry-After")).toBe("5");
    // Strangers learn nothing of the store.
    expect(away.text).not.toMatch(/zookeeper|127\.0\.0\.1/i);
    expect((await ask("GET", "/healthz")).status).toBe(200);
    await proxy.welcome("serve");
    await until(async () => (await ask("GET", "/readyz")).status === 200, "the server to be ready again");
  });
});

describe.each(STORES)("the end on %s", (kind) => {
  test("comes soon, with 0, although much is open, and leaves nothing in line", async () => {
    const fleet = await openFleet(kind);
    const { url, ask, cli } = await startServer(fleet);
    expect((await ask("PUT", "/lock/a", { key: "k" })).status).toBe(200);
    const open = [
      // A connection that is kept, one that has said nothing, and requests that are never finished.
      talk(url, "GET /healthz HTTP/1.1", "Host: 127.0.0.1", "", ""),
      talk(url, ""),
      talk(url, "GET /locks HTTP/1.1", "Host: 127.0.0.1", "X-Slow"),
      talk(url, "PUT /lock/b HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 100", "", '{"key"'),
    ];
    const stream = await fetch(`${url}/v1/events`);
    const poll = ask("POST", "/v1/leases", { lock: "a", wait: "10 min", ttl: "1 h" });
    await fleet.untilQueue("a", 2);
    await until(() => open[0]?.socket.bytesRead, "the first answer");
    cli.kill("SIGTERM");
    const ended = await within(cli.ended, "the server to end", 15_000);
    expect(ended).toMatchObject({ code: 0, signal: null });
    expect(ended.stderr).toContain("the server has shut down");
    expect((await within(poll, "the long poll to be answered")).status).toBe(503);
    await within(
      stream.text().catch(() => ""),
      "the stream to end",
    );
    for (const { answer } of open) await within(answer, "its connections to be closed");
    // What was taken stays; what was being asked for left nothing.
    expect((await fleet.queue("a")).map(({ durable }) => durable)).toEqual([true]);
    expect(await (await fleet.coordinator()).list()).toEqual(["a"]);
  });
});

describe("a lease that the store has just made when the server shuts down", () => {
  /** The store has made it, and the server shuts down before it is told of that. */
  async function askAtTheEnd(body: object) {
    const fleet = await openFleet("zookeeper");
    const proxy = await openProxy();
    const { ask, cli } = await startServer(fleet, "server", { coordinator: fleet.urlThrough(proxy) });
    const coordinator = await fleet.coordinator();
    // Where the lock has been claimed before, nothing has to be made for it, and settling is the only transaction.
    const draft = draftFor("a");
    await coordinator.withdraw((await coordinator.join(draft)).positions);
    const settled = proxy.holdReply({ operation: Opcode.multi, where: mentions("/locks/a/") });
    const asking = ask("POST", "/v1/leases", { lock: "a", ...body });
    await settled.caught;
    const [made] = await fleet.queue("a");
    expect(made).toMatchObject({ durable: true, lease: { type: "lease" } });
    cli.kill("SIGTERM");
    // Before the five seconds are over that it gives to others: its client keeps the connection, and is not waited for.
    const ended = within(cli.ended, "the server to end with its last answer", 4_900);
    ended.catch(() => undefined);
    const isRefused = () =>
      ask("GET", "/healthz").then(
        () => false,
        () => true,
      );
    await until(isRefused, "the server to take no more connections");
    settled.release();
    const answer = await within(asking, "an answer");
    expect((await ended).code).toBe(0);
    return { fleet, coordinator, answer, made };
  }

  test("is given back where only the server knows its id, and its client is to ask again", async () => {
    const { fleet, coordinator, answer, made } = await askAtTheEnd({});
    expect(answer).toMatchObject({ status: 503, json: { title: "interrupted" } });
    expect(Number(answer.headers.get("Retry-After"))).toBeGreaterThan(0);
    expect(await fleet.queue("a")).toEqual([]);
    expect(await coordinator.history("a", 10)).toMatchObject([
      { claim: made?.id, event: "released", reason: "the client left before it got the answer" },
    ]);
  });

  test("stays where the client has given it an id, and the client is told that it has it", async () => {
    const id = freshId();
    const { fleet, coordinator, answer, made } = await askAtTheEnd({ id });
    expect(answer).toMatchObject({ status: 201, json: { id, locks: ["a"], fencingToken: made?.fencingToken } });
    expect(await fleet.queue("a")).toMatchObject([{ id, durable: true }]);
    expect(await coordinator.history("a", 10)).toEqual([]);
  });
});

describe("a service manager's socket", () => {
  test("is listened on, and what came in before the server ran is answered", async () => {
    const fleet = await openFleet("sqlite");
    const { config } = fleet.node("server", {});
    const { descriptor, port, leave } = await openListening();
    const server = startActivated(config, descriptor, { AUTH_USER: "u", AUTH_PASS: "p" });
    leave();
    const url = `http://127.0.0.1:${port}`;
    const early = talk(url, "GET /healthz HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "", "");
    expect(await within(early.answer, `an answer; the server said ${server.stderr()}`)).toMatch(/^HTTP\/1.1 200 OK/);
    const Authorization = `Basic ${Buffer.from("u:p").toString("base64")}`;
    const response = await fetch(`${url}/locks`, { headers: { Authorization } });
    expect([response.status, await response.text()]).toEqual([200, "{}\n"]);
    expect(server.stderr()).toContain(`serving on ${url}`);
    process.kill(server.pid, "SIGTERM");
    expect(await within(server.ended, "the server to end", 15_000)).toBe(0);
  });
});
