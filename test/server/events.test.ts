// Changes as server-sent events, on both stores, with the built program.
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { hashSecret } from "../../src/server/passwords.js";
import { draftFor, recordFor, RELEASED } from "../coordinators/conformance/store.js";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { isPending, until, within } from "../support/wait.js";
import { listen, type Told } from "./listening.js";
import { startServer } from "./serving.js";

failOnLeaks();

/** For each event, what it is and the locks that it is about. */
function namesIn(told: readonly Told[]): readonly string[] {
  return told.map(({ event, data }) => `${event} ${data.lock ?? data.locks?.map(({ lock }) => lock).join(",") ?? ""}`);
}

describe.each(STORES)("on %s", (kind) => {
  test("who listens is given all locks, then each that changes, and those that nobody claims any more", async () => {
    const { url, ask, node } = await startServer(await openFleet(kind));
    await ask("POST", "/v1/leases", { lock: "there" });
    const { told } = await listen(url);
    expect(namesIn(told)).toEqual(["locks there"]);
    expect(told[0]?.data).toEqual((await ask("GET", "/v1/locks")).json);
    const id = (await node.run("acquire", "new")).stdout.trim();
    const taken = await until(() => told.find(({ event, data }) => event === "lock" && data.holders?.length === 1), "the new lock");
    expect(taken.data).toEqual((await ask("GET", "/v1/locks/new")).json);
    await node.run("release", "new", id);
    await until(() => told.at(-1)?.data.holders?.length === 0, "its end");
    expect(told.at(-1)?.data).toEqual({ lock: "new", holders: [], waiting: [] });
    expect(new Set(namesIn(told))).toEqual(new Set(["locks there", "lock new"]));
  });

  test("who comes back is given what was missed and no more; after a restart of the server, everything", async () => {
    const fleet = await openFleet(kind);
    const { url, ask } = await startServer(fleet, "one");
    const first = await listen(url);
    await ask("POST", "/v1/leases", { lock: "a" });
    await until(() => first.told.length > 1, "the first change");
    first.leave();
    await ask("POST", "/v1/leases", { lock: "b" });
    await ask("POST", "/v1/leases", { lock: "c" });
    const watching = await listen(url);
    await until(() => namesIn(watching.told)[0] === "locks a,b,c" || namesIn(watching.told).includes("lock c"), "all changes");

    const seen = first.told.filter(({ data }) => data.lock !== "b" && data.lock !== "c").at(-1)?.id ?? "";
    const again = await listen(url, { "Last-Event-ID": seen });
    await until(() => namesIn(again.told).includes("lock c"), "what was missed");
    expect(namesIn(again.told).some((name) => name.startsWith("locks") || name === "lock a")).toBe(false);
    expect(namesIn(again.told)).toContain("lock b");

    const other = await startServer(fleet, "two");
    for (const id of [seen, "0-0", "nonsense", `${seen}999`]) {
      const { told } = await listen(other.url, { "Last-Event-ID": id });
      await until(() => told.length > 0, "everything");
      expect(namesIn(told)[0]).toBe("locks a,b,c");
    }
    const { told } = await listen(url, { "Last-Event-ID": `${seen}999` });
    await until(() => told.length > 0, "everything");
    expect(namesIn(told)[0]).toBe("locks a,b,c");
  });

  test("a stream ends when the server shuts down", async () => {
    const { url, cli } = await startServer(await openFleet(kind));
    const { ended } = await listen(url);
    cli.kill("SIGTERM");
    expect(await within(ended, "the stream to end")).toBe("ended");
    expect((await within(cli.ended, "the server to end")).code).toBe(0);
  });
});

test("who may not see a lock is told nothing of it, not even what was missed", async () => {
  const token = await hashSecret("ann's");
  const access = {
    ann: { may: ["read"], locks: ["app/*"], token },
    bob: { may: ["read", "lock"], token: await hashSecret("bob's") },
  };
  const { url, ask } = await startServer(await openFleet("sqlite"), "server", { settings: { access } });
  const [ann, bob] = [{ Authorization: "Bearer ann's" }, { Authorization: "Bearer bob's" }];
  const take = (lock: string) => ask("POST", "/v1/leases", { lock }, bob);
  await take("secret/old");
  const seen = await listen(url, ann);
  expect(seen.told[0]?.data).toEqual({ locks: [], freezes: [] });
  await take("secret/new");
  await take("app/a");
  await until(() => seen.told.length > 1, "what may be seen");
  expect(namesIn(seen.told)).toEqual(["locks ", "lock app/a"]);
  const again = await listen(url, { ...ann, "Last-Event-ID": seen.told[0]?.id ?? "" });
  await until(() => again.told.length > 0, "what was missed");
  expect(namesIn(again.told)).toEqual(["lock app/a", "freezes "]);
});

test("a client that reads keeps its stream, also when more changes at once than may wait for a client", async () => {
  const fleet = await openFleet("sqlite");
  const { url, ask, cli } = await startServer(fleet);
  const coordinator = await fleet.coordinator();
  const { told, ended } = await listen(url);
  // Two mebibytes and more in one transaction: whoever looks at the backlog while they are being written takes them for it.
  const locks = Array.from({ length: 40 }, (_, index) => `lock-${index}`);
  for (const round of ["first", "second"]) {
    // It waits without its data, so that what is told of that is read long before the rest comes.
    const draft = draftFor(locks);
    const joined = await coordinator.join(draft);
    const tells = (condition: (claims: readonly unknown[]) => boolean) => () => {
      const newest = new Map(told.map(({ data }) => [data.lock, [...(data.holders ?? []), ...(data.waiting ?? [])]]));
      return locks.every((lock) => condition(newest.get(lock) ?? []));
    };
    await until(
      tells((claims) => claims.length === 1),
      "the client to be told that they are claimed",
    );
    const { entries } = await coordinator.settle(draft, joined, recordFor(draft, { data: round + "x".repeat(60_000) }));
    await until(
      tells((claims) => JSON.stringify(claims).includes(`${round}x`)),
      "the client to be told of all of it",
    );
    expect(await coordinator.leave(draft.id, entries, RELEASED)).toBe("done");
    await until(
      tells((claims) => claims.length === 0),
      "the client to be told of the end",
    );
  }
  await ask("POST", "/v1/leases", { lock: "last" });
  await until(() => told.some(({ data }) => data.lock === "last"), "what comes after it");
  expect(await isPending(ended)).toBe(true);
  expect(cli.stderr()).not.toContain("an event stream was dropped");
});

test("a client that does not read what changes is dropped, and the others are not", async () => {
  const { url, ask, cli } = await startServer(await openFleet("sqlite"));
  const { hostname, port } = new URL(url);
  const slow = connect(Number(port), hostname);
  onTestFinished(() => void slow.destroy());
  slow.on("error", () => undefined).pause();
  slow.write("GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const quick = await listen(url);
  const body = { data: "x".repeat(60_000) };
  const ids = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const answer = await ask("POST", "/v1/leases", { lock: `lock-${index}`, ...body });
      return (answer.json as { readonly id: string }).id;
    }),
  );
  // What the system keeps for both ends of the connection is filled first: some megabytes.
  let round = 0;
  await until(
    async () => {
      round += 1;
      const from = quick.told.length;
      await Promise.all(ids.map((id) => ask("POST", `/v1/leases/${id}/data`, { replace: `${body.data}${round}` })));
      // All that this client is told, it has read before there is more: also a busy test process is not a slow client.
      await until(() => {
        const newest = new Map(quick.told.slice(from).map(({ data }) => [data.lock, JSON.stringify(data.holders)]));
        return ids.every((_, index) => newest.get(`lock-${index}`)?.includes(`x${round}"`));
      }, "the quick client to be told of a round");
      return cli.stderr().includes("an event stream was dropped");
    },
    { what: "the slow client to be dropped", deadlineMs: 50_000 },
  );
  const before = quick.told.length;
  await ask("POST", "/v1/leases", { lock: "last" });
  await until(() => quick.told.slice(before).some(({ data }) => data.lock === "last"), "the others to be told");
});
