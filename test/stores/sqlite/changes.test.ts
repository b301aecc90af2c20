// Announcements between processes: none is missed by a waiter that is busy when it comes.
import { join } from "node:path";
import { writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { announceChange, type ChangeWatch, watchChanges } from "../../../src/stores/sqlite/changes.js";
import { freshDirectory } from "../../support/roots.js";
import { isPending, within } from "../../support/wait.js";
import { TEST_OPTIONS } from "../../coordinators/conformance/store.js";

const { log } = TEST_OPTIONS;
const AN_HOUR_MS = 3_600_000;

async function watched(): Promise<{ path: string; open: () => ChangeWatch }> {
  const path = join(await freshDirectory(), "some.db");
  writeFileSync(path, "");
  const open = (): ChangeWatch => {
    const watch = watchChanges(path, log);
    onTestFinished(() => watch.close());
    return watch;
  };
  return { path, open };
}

test("an announcement wakes those who wait, once", async () => {
  const { path, open } = await watched();
  const watch = open();
  const never = new AbortController().signal;
  const woken = watch.next(AN_HOUR_MS, never);
  expect(await isPending(woken)).toBe(true);
  announceChange(path, log);
  await within(woken, "the announcement");
  const stop = new AbortController();
  const again = watch.next(AN_HOUR_MS, stop.signal);
  expect(await isPending(again)).toBe(true);
  stop.abort();
  await within(again, "the abort to be heeded");
});

test("an announcement that comes while nobody waits is not missed", async () => {
  const { path, open } = await watched();
  const [busy, idle] = [open(), open()];
  const never = new AbortController().signal;
  const heard = idle.next(AN_HOUR_MS, never);
  announceChange(path, log);
  // By now both have been told, in whatever order.
  await within(heard, "the announcement");
  await new Promise((resolve) => setImmediate(resolve));
  await within(busy.next(AN_HOUR_MS, never), "the announcement that came before");
});

test("where nothing can be watched, waiting is by time alone", async () => {
  const watch = watchChanges(join(await freshDirectory(), "not", "there.db"), log);
  await within(watch.next(1, new AbortController().signal), "the poll interval");
  watch.close();
});
