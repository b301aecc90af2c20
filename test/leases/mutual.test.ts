// Two people who lock hosts that depend on each other, from both ends at once, over and over, on real stores: the library's
// own calls, each person with a session of their own.
import { expect, onTestFinished, test } from "vitest";
import { type Holdline, openHoldline } from "../../src/index.js";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until, within } from "../support/wait.js";

failOnLeaks();

const ROUNDS = 200;
const DEPENDENCIES = { dc01: ["dc02"], dc02: ["dc01"], hv01: ["dc01"] };

test.each(STORES)("200 times over, on %s, nobody waits for ever and nobody shares", { timeout: 120_000 }, async (kind) => {
  const { url } = await openFleet(kind);
  const open = async (node: string): Promise<Holdline> => {
    const holdline = await openHoldline(url, { node, dependencies: DEPENDENCIES, sleepTimeMs: 10 });
    onTestFinished(() => holdline.close());
    return holdline;
  };
  const people = [
    { holdline: await open("one"), host: "dc01" },
    { holdline: await open("other"), host: "dc02" },
  ];
  let inside = 0;
  let turns = 0;
  const turn = async ({ holdline, host }: (typeof people)[number]): Promise<string> => {
    const locked = await holdline.lockHosts(host, { type: "host", timeoutMs: 100_000 });
    if (locked.outcome !== "acquired") return locked.outcome;
    inside += 1;
    expect(inside, "at once").toBe(1);
    expect(new Set(locked.hosts)).toEqual(new Set(["dc01", "dc02", "hv01"]));
    turns += 1;
    // The first of a round lets go only when the other has come from the other end.
    if (turns % 2 === 1) await until(async () => (await holdline.status("host/hv01")).waiting.length === 1, "the other in line");
    inside -= 1;
    return (await holdline.unlock(locked.lease.id)).outcome;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    // Who comes first is left to chance as well as to turns.
    const order = round % 2 === 0 ? people : [...people].reverse();
    const ended = await within(Promise.all(order.map(turn)), `round ${round}`, 100_000);
    expect(ended).toEqual(["released", "released"]);
  }
  expect(await people[0]?.holdline.locks()).toEqual([]);
});
