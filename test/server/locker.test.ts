// Locker's protocol, on both stores, with the built program.
import { describe, expect, test } from "vitest";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { askRaw } from "./raw.js";
import { type Serving, startServer } from "./serving.js";

failOnLeaks();

/** `GET /locks`, in the order in which it comes. */
async function pools({ ask }: Serving): Promise<string> {
  const { status, headers, text } = await ask("GET", "/locks");
  expect([status, headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
  return text;
}

const at = (pool: string): string => `/lock/${encodeURIComponent(pool)}`;

describe.each(STORES)("on %s", (kind) => {
  test("a requestor's counter goes up with each PUT, and to 0 with a DELETE", async () => {
    const server = await startServer(await openFleet(kind));
    const { ask } = server;
    const george = { key: "k", requestor: "george" };
    for (let count = 1; count <= 2; count += 1) {
      const { status, json } = await ask("PUT", "/lock/pool", george);
      expect([status, json]).toEqual([200, { response: expect.stringContaining("pool") as string }]);
    }
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"george":2},"key":"k"}}\n');
    const { status, json } = await ask("DELETE", "/lock/pool", george);
    expect([status, json]).toEqual([200, { response: expect.stringContaining("pool") as string }]);
    expect(await pools(server)).toBe("{}\n");
  });

  test("the key is free once all counters are 0, and a requestor is by default the key", async () => {
    const server = await startServer(await openFleet(kind));
    const { ask } = server;
    for (const requestor of ["george", "ann", "", null, undefined])
      expect((await ask("PUT", "/lock/pool", { key: "k", requestor })).status).toBe(200);
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"ann":1,"george":1,"k":3},"key":"k"}}\n');
    expect((await ask("DELETE", "/lock/pool", { key: "k" })).status).toBe(200);
    expect((await ask("DELETE", "/lock/pool", { key: "k", requestor: "ann" })).status).toBe(200);
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"george":1},"key":"k"}}\n');
    expect((await ask("PUT", "/lock/pool", { key: "other" })).status).toBe(423);
    // A requestor without a counter may set it to 0, and takes nothing from the others.
    expect((await ask("DELETE", "/lock/pool", { key: "k", requestor: "nobody" })).status).toBe(200);
    expect((await ask("PUT", "/lock/pool", { key: "other" })).status).toBe(423);
    expect((await ask("DELETE", "/lock/pool", { key: "k", requestor: "george" })).status).toBe(200);
    expect((await ask("PUT", "/lock/pool", { key: "other" })).status).toBe(200);
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"other":1},"key":"other"}}\n');
  });

  test("another key gets 423 at once, with the word in the status line, and changes nothing", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    await server.ask("PUT", "/lock/pool", { key: "k", requestor: "george" });
    for (const method of ["PUT", "DELETE"]) {
      const answer = await askRaw(server.url, [`${method} /lock/pool HTTP/1.1`], '{"key":"other"}');
      const [head = "", body = ""] = answer.split("\r\n\r\n");
      expect(head.split("\r\n")[0]).toBe("HTTP/1.1 423 Locked");
      expect(head.toLowerCase()).toContain("content-type: application/json");
      expect(JSON.parse(body)).toEqual({ error: "pool is locked by george with the key k" });
    }
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"george":1},"key":"k"}}\n');
    expect(await fleet.queue("pool")).toHaveLength(1);
  });

  test("a pool that is free, or that nobody has heard of, is unlocked with any key", async () => {
    const server = await startServer(await openFleet(kind));
    expect((await server.ask("DELETE", "/lock/unknown", { key: "k" })).status).toBe(200);
    await server.ask("PUT", "/lock/pool", { key: "k" });
    await server.ask("DELETE", "/lock/pool", { key: "k" });
    expect((await server.ask("DELETE", "/lock/pool", { key: "other" })).status).toBe(200);
    expect(await pools(server)).toBe("{}\n");
  });

  test("pools and requestors are sorted by their bytes, also those that look like numbers", async () => {
    const server = await startServer(await openFleet(kind));
    // By UTF-16, as JavaScript sorts, the last two would change places.
    const sorted = ["-1", "10", "9", "Z", "__proto__", "a", "é", "\uff5e", "😀"];
    for (const pool of ["9", "a", "😀", "__proto__", "é", "Z", "10", "\uff5e", "-1"])
      expect((await server.ask("PUT", at(pool), { key: "k" })).status).toBe(200);
    for (const requestor of ["9", "a", "😀", "__proto__", "é", "Z", "10", "\uff5e", "-1"])
      expect((await server.ask("PUT", "/lock/all", { key: "1", requestor })).status).toBe(200);
    const all = `"all":{"locked_by":{${sorted.map((name) => `${JSON.stringify(name)}:1`).join(",")}},"key":"1"}`;
    const others = sorted.map((name) => `${JSON.stringify(name)}:{"locked_by":{"k":1},"key":"k"}`);
    expect(await pools(server)).toBe(`{${[...others.slice(0, 6), all, ...others.slice(6)].join(",")}}\n`);
  });

  test("slashes, spaces, quotes and UTF-8 stand for themselves in pool, key and requestor", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    const names = ["a/b", "a b", 'the "one"', "it's", "bläh 😀", "100%", "a%2Fb", "a+b&c=d;e?f#g", "back\\slash", "$(id)`", "{}"];
    for (const name of names) {
      const [pool, key, requestor] = [`p/${name}`, `k ${name}`, `r ${name}`];
      expect((await server.ask("PUT", at(pool), { key, requestor })).status, name).toBe(200);
      expect((await server.ask("PUT", at(pool), { key: `${key}!`, requestor })).status, name).toBe(423);
      expect(JSON.parse(await pools(server)), name).toEqual({ [pool]: { locked_by: { [requestor]: 1 }, key } });
      expect((await fleet.queue(pool)).map((claim) => [claim.key, claim.lease?.caller])).toEqual([[key, requestor]]);
      expect((await server.ask("DELETE", at(pool), { key, requestor })).status, name).toBe(200);
      expect(await pools(server)).toBe("{}\n");
    }
  });

  test("a malformed request takes nothing and ends nothing", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    await server.ask("PUT", "/lock/held", { key: "k" });
    const bodies = [
      ...["", " ", "{", "nul", "null", "[]", '"k"', "5", "{}", "key=k", '{"key":"k"', '{"key":"k"}}'],
      ...[{ key: "" }, { key: null }, { key: 5 }, { key: ["k"] }, { key: { a: 1 } }, { requestor: "k" }, { Key: "k" }],
      ...[true, 5, ["k"], {}].map((requestor) => ({ key: "k", requestor })),
      ...[{ key: "k\0" }, { key: "\ud800" }, { key: "k".repeat(1_025) }, { key: "k", requestor: "\0" }],
      '{"key":"k","__proto__":{"requestor":"x"}}',
    ];
    for (const pool of ["free", "held"])
      for (const method of ["PUT", "DELETE"])
        for (const body of bodies) {
          const { status, json } = await server.ask(method, `/lock/${pool}`, body);
          expect([status, json], `${method} ${JSON.stringify(body)}`).toEqual([
            400,
            { error: expect.stringMatching(/./) as string },
          ]);
        }
    for (const pool of ["", ".", "a/../b", "/a", "a//b", "a\0", "x".repeat(256)])
      expect((await server.ask("PUT", pool === "." ? "/lock/%2E" : at(pool), { key: "k" })).status, pool).toBe(400);
    const noText = await askRaw(server.url, ["PUT /lock/free HTTP/1.1"], Buffer.from('{"key":"\xff"}', "latin1"));
    expect(noText).toContain("400 Bad Request");
    const noName = await askRaw(server.url, ["PUT /lock/%zz HTTP/1.1"], '{"key":"k"}');
    expect(noName).toMatch(/^HTTP\/1\.1 400 [^]*"error":/);
    const { status, json } = await server.ask("PUT", "/lock/free", { key: "k", more: "x".repeat(600_000) });
    expect([status, json]).toEqual([413, { error: expect.stringMatching(/./) as string }]);
    expect(await pools(server)).toBe('{"held":{"locked_by":{"k":1},"key":"k"}}\n');
    expect(await fleet.queue("free")).toEqual([]);
  });

  test("a body is read as JSON whatever its content type says", async () => {
    const server = await startServer(await openFleet(kind));
    const types = [
      "application/x-www-form-urlencoded",
      "text/plain",
      "multipart/form-data",
      "application/json;charset=x",
      "no type",
      ";",
    ];
    for (const type of [...types.map((value) => [`Content-Type: ${value}`]), ["Content-Type:"], []])
      for (const method of ["PUT", "DELETE"])
        expect(await askRaw(server.url, [`${method} /lock/pool HTTP/1.1`, ...type], '{"key":"k"}'), type[0]).toMatch(
          /^HTTP\/1\.1 200 /,
        );
    expect(await pools(server)).toBe("{}\n");
  });

  test("a request with the same key is not kept out by one with another key at that moment", async () => {
    const server = await startServer(await openFleet(kind));
    await server.ask("PUT", "/lock/pool", { key: "k" });
    const answers = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const key = index % 2 === 0 ? "k" : `other ${index}`;
        return [key === "k", (await server.ask("PUT", "/lock/pool", { key })).status];
      }),
    );
    expect(new Set(answers.map(String))).toEqual(new Set(["true,200", "false,423"]));
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"k":31},"key":"k"}}\n');
  });

  test("the command line and HTTP see the same locks", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    const node = fleet.node("web-07", {});
    await server.ask("PUT", "/lock/pool", { key: "k", requestor: "george" });
    const seen = JSON.parse((await node.run("locks", "pool", "--json")).stdout) as { locks: { holders: object[] }[] };
    expect(seen.locks[0]?.holders).toMatchObject([{ key: "k", condition: "leased", lease: { caller: "george" }, expiresAt: null }]);
    expect((await node.run("acquire", "pool", "--ttl", "1 h")).code).toBe(2);
    expect((await node.run("acquire", "pool", "--key", "k", "--ttl", "1 h")).code).toBe(0);
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"george":1,"ops@web-07":1},"key":"k"}}\n');
    expect((await server.ask("DELETE", "/lock/pool", { key: "k", requestor: "ops@web-07" })).status).toBe(200);

    const go = fleet.signalFile();
    const running = node.start("exec", "pool", "--key", "k", "--", "/bin/sh", "-c", fleet.waitingShell(go.path));
    await fleet.untilQueue("pool", 2);
    await until(async () => (await pools(server)).includes("web-07"), "the command's claim");
    // What a process holds is no counter that could be set to 0.
    expect((await server.ask("DELETE", "/lock/pool", { key: "k", requestor: "ops@web-07" })).json).toEqual({
      error: "pool is locked by george, ops@web-07 with the key k, in a process that runs",
    });
    expect((await server.ask("DELETE", "/lock/pool", { key: "k", requestor: "george" })).status).toBe(200);
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"ops@web-07":1},"key":"k"}}\n');
    go.give();
    expect((await running.ended).code).toBe(0);
    expect(await pools(server)).toBe("{}\n");

    // Who holds it without a key keeps all keys out; an empty one would say that it is free.
    expect((await node.run("acquire", "pool", "--ttl", "1 h")).code).toBe(0);
    expect(await pools(server)).toBe('{"pool":{"locked_by":{"ops@web-07":1},"key":"ops@web-07"}}\n');
    for (const method of ["PUT", "DELETE"])
      expect((await server.ask(method, "/lock/pool", { key: "ops@web-07" })).status).toBe(423);
  });

  test("a waiter of the command line keeps its place before later requests", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    await server.ask("PUT", "/lock/pool", { key: "k" });
    const waiter = fleet.node("web-07", {}).start("exec", "pool", "--key", "z", "--", "/bin/true");
    await fleet.untilQueue("pool", 2);
    expect((await server.ask("PUT", "/lock/pool", { key: "k" })).json).toEqual({
      error: "pool is locked by k with the key k, and somebody waits for it with another key",
    });
    expect((await server.ask("DELETE", "/lock/pool", { key: "k" })).status).toBe(200);
    expect((await waiter.ended).code).toBe(0);
  });
});
