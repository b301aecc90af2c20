// What Locker's clients speak, on both stores, with the built program.
import { describe, expect, test } from "vitest";
import { openFleet, STORES } from "../e2e/fleet.js";
import { failOnLeaks } from "../support/leaks.js";
import { startServer } from "./serving.js";

failOnLeaks();

describe.each(STORES)("on %s", (kind) => {
  test("a requestor's counter goes up with each PUT, and to 0 with a DELETE", async () => {
    const { ask } = await startServer(await openFleet(kind));
    const george = { key: "k", requestor: "george" };
    for (let count = 1; count <= 2; count += 1) expect((await ask("PUT", "/lock/pool", george)).status).toBe(200);
    expect((await ask("GET", "/locks")).text).toBe('{"pool":{"locked_by":{"george":2},"key":"k"}}\n');
    expect((await ask("DELETE", "/lock/pool", george)).status).toBe(200);
    expect((await ask("GET", "/locks")).text).toBe("{}\n");
  });
});
