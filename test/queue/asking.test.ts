// What is said when a store has not answered in time.
import { expect, test } from "vitest";
import { Asking } from "../../src/queue/asking.js";
import { ReplyLostError } from "../../src/queue/store.js";
import { TEST_OPTIONS, TEST_TIMERS } from "../../src/conformance/drafts.js";

test("the store's own words about its trouble are said, and not that the last try got no answer", async () => {
  const store = { traits: { sessions: "renewed" }, reconnect: () => undefined } as const;
  const asking = new Asking(store, { ...TEST_OPTIONS, connectTimeoutMs: 30, timers: TEST_TIMERS });
  let tries = 0;
  const attempt = (): Promise<never> => {
    tries += 1;
    return tries === 1 ? Promise.reject(new ReplyLostError("db1:3306 is read-only")) : new Promise(() => undefined);
  };
  await expect(asking.ask(undefined, attempt)).rejects.toThrow("has not answered within 30 ms (db1:3306 is read-only)");
  expect(tries).toBeGreaterThan(1);
});
