// The history of an expired lease when nobody has looked at its lock since, in every way to ask for the history.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import type * as Library from "../../src/index.js";
import type { Coordinator } from "../../src/locks/coordinator.js";
import { draftFor, idsIn, leaseOn, recordFor, RELEASED, takeDurably } from "../coordinators/conformance/store.js";
import { startServer } from "../server/serving.js";
import { failOnLeaks } from "../support/leaks.js";
import { openPlainClient } from "../support/plain-client.js";
import { openFleet, STORES } from "./fleet.js";
import type { Fleet } from "./fleet.js";

failOnLeaks();

const { href } = pathToFileURL(resolve(import.meta.dirname, "../../dist/index.js"));
const { openHoldline } = (await import(/* @vite-ignore */ href)) as typeof Library;

const READ = 1;

/** Makes a lease whose time is over already. @returns its id, and when it has ended */
async function lendOver(coordinator: Coordinator, locks: readonly string[]): Promise<readonly [id: string, endedAt: number]> {
  const draft = draftFor(locks, { lease: leaseOn(locks) });
  const endedAt = (await coordinator.sync()).ms - 1_000;
  await coordinator.settle(draft, await coordinator.join(draft), recordFor(draft, { expiresAt: endedAt }));
  return [draft.id, endedAt];
}

interface Shown {
  readonly history: readonly { readonly claim: string; readonly lock: string }[];
}

type Ask = (fleet: Fleet, lock: string | null) => Promise<readonly object[]>;

const WAYS: Readonly<Record<string, Ask>> = {
  async "the command line"(fleet, lock) {
    const { code, stdout } = await fleet.node("web-01", {}).run("history", ...(lock === null ? [] : [lock]), "--json");
    expect(code).toBe(0);
    return (JSON.parse(stdout) as Shown).history;
  },
  async "the library"(fleet, lock) {
    const holdline = await openHoldline(fleet.url, { sleepTimeMs: 20, node: "web-07", principal: "ann@web-07" });
    onTestFinished(() => holdline.close());
    const records = await holdline.history(lock === null ? {} : { lock });
    return records.map((record) => ({ ...record, endedAt: new Date(record.endedAt).toISOString() }));
  },
};

describe.each(STORES)("on %s", (kind) => {
  test.each(Object.entries(WAYS))("%s says that it has expired, of a named lock and of all", async (_, ask) => {
    const fleet = await openFleet(kind);
    const coordinator = await fleet.coordinator();
    for (const wanted of ["a", null]) {
      const [id, at] = await lendOver(coordinator, ["a", "b"]);
      const told = { claim: id, event: "expired", by: null, reason: null, endedAt: new Date(at).toISOString() };
      expect((await ask(fleet, wanted)).slice(0, 1)).toMatchObject([told]);
      // It ends as a whole.
      expect((await ask(fleet, "b")).slice(0, 1)).toMatchObject([told]);
      expect([await idsIn(coordinator, "a"), await idsIn(coordinator, "b")]).toEqual([[], []]);
    }
  });

  test("the server says so as well, to programs and on its page", async () => {
    const fleet = await openFleet(kind);
    const server = await startServer(fleet);
    const coordinator = await fleet.coordinator();
    for (const path of ["/v1/history?lock=a", "/v1/history"]) {
      const [id] = await lendOver(coordinator, ["a"]);
      const { history } = (await server.ask("GET", path)).json as Shown;
      expect(history[0]).toMatchObject({ claim: id, event: "expired", by: null });
    }
    for (const path of ["/history?lock=b", "/view/c"]) {
      await lendOver(coordinator, [path.slice(-1)]);
      expect((await server.ask("GET", path)).text).toContain("its time was over");
    }
  });
});

test("what may not be ended keeps nobody from the history, and nothing else from ending", async () => {
  const fleet = await openFleet("zookeeper");
  const coordinator = await fleet.coordinator();
  const client = await openPlainClient(inject("zookeeper"));
  onTestFinished(() => client.close());
  const released = await takeDurably(coordinator, "a");
  await coordinator.leave(released.draft.id, released.settled.entries, RELEASED);
  await lendOver(coordinator, ["a"]);
  const [expired] = await lendOver(coordinator, ["b"]);
  await client.restrict(`${new URL(fleet.url).pathname}/locks/a`, READ);
  const history = WAYS["the command line"] as Ask;
  expect(await history(fleet, "a")).toMatchObject([{ claim: released.draft.id, event: "released" }]);
  expect(await history(fleet, null)).toMatchObject([
    { claim: released.draft.id, event: "released" },
    { claim: expired, event: "expired" },
  ]);
});
