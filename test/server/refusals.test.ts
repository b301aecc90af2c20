// What the server's log says of credentials that were refused, and what it never says.
import { expect, onTestFinished, test, vi } from "vitest";
import { Refusals } from "../../src/server/refusals.js";
import { openFleet } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { until } from "../support/wait.js";
import { basic, bearer, hashOf } from "./credentials.js";
import { startServer } from "./serving.js";

failOnLeaks();

const ACCESS = { ann: { password: hashOf("s3cret"), may: ["read"] }, anonymous: { may: ["read"] } };

test("each has a line with its address and a known name, and no secret", async () => {
  const { ask, cli, url } = await startServer(await openFleet("sqlite"), "server", { settings: { access: ACCESS } });
  const linesOf = () =>
    cli
      .stderr()
      .split("\n")
      .filter((line) => line.includes("credentials were refused"));
  const attempts: readonly (readonly [() => Promise<{ readonly status: number }>, RegExp])[] = [
    [() => ask("GET", "/v1/locks", undefined, basic("ann", "wr0ng-1")), /ann/],
    [() => ask("GET", "/v1/locks", undefined, basic("my-passw0rd", "wr0ng-2")), /127\.0\.0\.1/],
    [() => ask("GET", "/v1/locks", undefined, bearer("wr0ng-3")), /127\.0\.0\.1/],
    [() => ask("GET", "/v1/locks", undefined, { Authorization: "Digest wr0ng-4" }), /127\.0\.0\.1/],
    [() => fetch(`${url}/sign-in`, { method: "POST", body: new URLSearchParams({ user: "ann", password: "wr0ng-5" }) }), /ann/],
  ];
  for (const [index, [attempt, expected]] of attempts.entries()) {
    expect((await attempt()).status).toBe(401);
    const lines = await until(() => (linesOf().length > index ? linesOf() : null), `line ${index + 1}`);
    expect(lines).toHaveLength(index + 1);
    expect(lines[index]).toMatch(/warn/i);
    expect(lines[index]).toContain("127.0.0.1");
    expect(lines[index]).toMatch(expected);
  }
  // Those who have none, or the right ones, are none of them.
  expect((await ask("GET", "/v1/locks")).status).toBe(200);
  expect((await ask("GET", "/v1/locks", undefined, basic("ann", "s3cret"))).status).toBe(200);
  expect((await ask("GET", "/v1/locks", undefined, basic("ann", "wr0ng-6"))).status).toBe(401);
  await until(() => linesOf().length > attempts.length, "the last line");
  expect(linesOf()).toHaveLength(attempts.length + 1);
  expect(cli.stderr()).not.toMatch(/wr0ng|passw0rd|s3cret/);
});

test("are told of ten times a minute at most, and then how many more there were", () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const told: (readonly [object, string])[] = [];
  const quiet = () => undefined;
  const log = { debug: quiet, info: quiet, error: quiet, warn: (details: object, text: string) => void told.push([details, text]) };
  const refusals = new Refusals(log);
  for (let index = 0; index < 1_000; index += 1) refusals.note({ outcome: "unknown", address: "10.0.0.1", name: "ann" });
  expect(told).toEqual(Array.from({ length: 10 }, () => [{ address: "10.0.0.1", name: "ann" }, "credentials were refused"]));
  vi.advanceTimersByTime(60_000);
  expect(told.slice(10)).toEqual([[{ count: 990 }, "more credentials were refused within a minute"]]);
  refusals.note({ outcome: "too-many", address: "10.0.0.2", name: null });
  expect(told.slice(11)).toEqual([[{ address: "10.0.0.2" }, "credentials were refused unchecked: too many attempts"]]);
  // Nothing was left out this time.
  vi.advanceTimersByTime(60_000);
  expect(told).toHaveLength(12);
});
