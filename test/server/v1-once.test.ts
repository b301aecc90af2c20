// A lease under an id of the client's own: one claim, however often and through however many servers the client asks.
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { within } from "../support/wait.js";
import type { Answer } from "./serving.js";
import { startServer } from "./serving.js";

failOnLeaks();

const ROUNDS = 15;
const AT_ONCE = 6;
// Servers that share their credentials name the same principal.
const AS_ONE = { settings: { principal: "ci" } };

describe.each(STORES)("on %s", (kind) => {
  test.each([
    ["exclusive", {}],
    ["shared", { key: "k" }],
  ])("of many who ask two servers at once with one id for a lock that is %s, all are given the same lease", async (_, sharing) => {
    const fleet = await openFleet(kind);
    const servers = [await startServer(fleet, "one", AS_ONE), await startServer(fleet, "two", AS_ONE)] as const;
    for (let round = 0; round < ROUNDS; round += 1) {
      const id = randomUUID();
      const body = { lock: "a", id, wait: "30 s", ...sharing };
      const asks = Array.from({ length: AT_ONCE }, (_unused, index) =>
        servers[index % 2 === 0 ? 0 : 1].ask("POST", "/v1/leases", body),
      );
      const answers = await within(Promise.all(asks), "all to be answered", 50_000);
      expect(answers.map(({ status }) => status).sort(), answers.map(({ text }) => text).join("\n")).toEqual([
        200, 200, 200, 200, 200, 201,
      ]);
      for (const answer of answers) expect(answer.json).toEqual((answers[0] as Answer).json);
      const queue = await fleet.queue("a");
      expect(queue.map((claim) => claim.id)).toEqual([id]);
      expect((await servers[1].ask("DELETE", `/v1/leases/${id}`)).json).toEqual({ outcome: "released" });
    }
    expect((await (await fleet.coordinator()).history("a", 100)).map(({ event }) => event)).toEqual(Array(ROUNDS).fill("released"));
  });

  test("who did not get the answer asks another server, and is given the lease that there is", async () => {
    const fleet = await openFleet(kind);
    const one = await startServer(fleet, "one", AS_ONE);
    const id = randomUUID();
    const first = await one.ask("POST", "/v1/leases", { lock: "a", id, ttl: "1 h", data: { build: 7 } });
    expect(first.status).toBe(201);
    one.cli.kill("SIGKILL");
    const two = await startServer(fleet, "two", AS_ONE);
    const second = await two.ask("POST", "/v1/leases", { lock: "a", id: id.toUpperCase(), ttl: "1 min" });
    expect([second.status, second.json]).toEqual([200, first.json]);
    // The id is that lease's: it is not to be another's as well.
    expect((await two.ask("POST", "/v1/leases", { lock: "b", id })).status).toBe(409);
    expect((await two.ask("POST", "/v1/host-locks", { host: "b", id })).status).toBe(409);
    expect((await fleet.queue("b")).concat(await fleet.queue("host/b"))).toEqual([]);
  });

  test("who asks again while the first request waits has no second place in line, and goes on where that one ends", async () => {
    const fleet = await openFleet(kind);
    const one = await startServer(fleet, "one", AS_ONE);
    const two = await startServer(fleet, "two", AS_ONE);
    const { id: holder } = (await one.ask("POST", "/v1/leases", { lock: "a" })).json as { readonly id: string };
    const body = { lock: "a", id: randomUUID() };
    const leaving = new AbortController();
    const options = { method: "POST", body: JSON.stringify({ ...body, wait: "5 min" }), signal: leaving.signal };
    const left = fetch(`${one.url}/v1/leases`, options).catch((error: unknown) => error);
    await fleet.untilQueue("a", 2);
    // A client that does not wait hears of the holder, and not of its own claim.
    for (const { ask } of [one, two])
      expect((await ask("POST", "/v1/leases", body)).json).toMatchObject({ status: 423, holders: [{ id: holder }] });
    const again = two.ask("POST", "/v1/leases", { ...body, wait: "5 min" });
    expect((await fleet.queue("a")).map(({ id }) => id)).toEqual([holder, body.id]);
    leaving.abort();
    await left;
    await one.ask("DELETE", `/v1/leases/${holder}`);
    expect(await within(again, "the second request to be answered")).toMatchObject({ json: { id: body.id } });
    expect((await fleet.queue("a")).map(({ id, durable }) => [id, durable])).toEqual([[body.id, true]]);
  });

  test("an id is free again once its lease has ended", async () => {
    const { ask } = await startServer(await openFleet(kind));
    const id = randomUUID();
    expect((await ask("POST", "/v1/leases", { lock: "a", id, ttl: "1 ms" })).status).toBe(201);
    expect((await ask("POST", "/v1/leases", { lock: "a", id })).status).toBe(201);
  });
});
