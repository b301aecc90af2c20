import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dependenciesOf } from "../../src/leases/dependencies.js";

const map = (entries: Record<string, readonly string[]>) => new Map(Object.entries(entries));

describe("the hosts that are locked with a host", () => {
  const issue = map({ hv01: ["dc01", "vmm01"], dc01: ["dc02"], dc02: ["dc01"] });

  test.each([
    ["dc01", ["dc02", "hv01"]],
    ["dc02", ["dc01", "hv01"]],
    ["vmm01", ["hv01"]],
    ["hv01", []],
    ["unheard-of", []],
  ])("of %s are %j", (host, expected) => {
    expect(dependenciesOf(host, issue)).toEqual(expected);
  });

  test("come nearest first, and by name among equals", () => {
    expect(dependenciesOf("app", map({ z: ["app"], b: ["app"], a: ["z"], power: ["a", "b"], c: ["b"] }))).toEqual([
      "b",
      "z",
      "a",
      "c",
      "power",
    ]);
  });

  test("are few where everything depends on everything, itself included", () => {
    const all = ["a", "b", "c"];
    expect(dependenciesOf("b", map(Object.fromEntries(all.map((host) => [host, all]))))).toEqual(["a", "c"]);
  });

  test("of a long chain are all of it", () => {
    const chain = Array.from({ length: 5_000 }, (_, index) => [`h${index + 1}`, [`h${index}`]] as const);
    expect(dependenciesOf("h0", new Map(chain))).toEqual(chain.map(([host]) => host));
  });

  test("are each once, never the host itself, and complete: the hosts that they depend on are among them", () => {
    const host = fc.constantFrom<string[]>("a", "b", "c", "d", "e", "f");
    const maps = fc.array(fc.tuple(host, fc.array(host, { maxLength: 4 })), { maxLength: 8 }).map((pairs) => new Map(pairs));
    fc.assert(
      fc.property(host, maps, (asked, dependents) => {
        const found = dependenciesOf(asked, dependents);
        const inside = new Set<string>([asked, ...found]);
        expect(inside.size).toBe(found.length + 1);
        for (const [needed, those] of dependents) {
          if (those.some((dependent) => inside.has(dependent))) expect(inside).toContain(needed);
        }
        // Nobody is locked without a reason: each is needed by another of them.
        for (const needed of found) expect(dependents.get(needed)?.some((dependent) => inside.has(dependent))).toBe(true);
      }),
    );
  });
});
