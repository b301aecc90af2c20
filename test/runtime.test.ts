// The wiring: whatever a command has opened is closed with its context, however the command ends.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Context } from "../src/cli/context.js";
import { openStopRequests } from "../src/cli/stop.js";
import { NOTHING_HANDED_DOWN } from "../src/handed-down.js";
import type { Coordinator } from "../src/locks/coordinator.js";
import { withContext } from "../src/runtime.js";
import { recordedIo } from "./cli/fakes.js";
import { freshDirectory } from "./support/roots.js";

async function inContext<T>(use: (context: Context) => Promise<T>): Promise<T> {
  const folder = await freshDirectory();
  const config = join(folder, "holdline.yaml");
  writeFileSync(config, `node: web-07\ncoordinator: sqlite://${folder}/locks.db\nstate_dir: ${folder}\n`);
  const ignore = () => undefined;
  const request = {
    flags: { config, coordinator: null, json: false, quiet: true, verbose: false },
    io: recordedIo(),
    stop: openStopRequests({ on: ignore, off: ignore }),
    command: "locks",
    makesStore: true,
    handedDown: NOTHING_HANDED_DOWN,
  };
  return withContext(request, use);
}

test("a command's stores are closed when it is done, and when it fails", async () => {
  const opened: Coordinator[] = [];
  const open = async (context: Context) => {
    opened.push(await context.coordinator("deploy"));
    expect(await opened.at(-1)?.list()).toEqual([]);
  };
  await inContext(open);
  const failing = inContext(async (context) => {
    await open(context);
    throw new Error("the command failed");
  });
  await expect(failing).rejects.toThrow("the command failed");
  expect(opened).toHaveLength(2);
  for (const coordinator of opened) await expect(coordinator.list()).rejects.toThrow();
});

test("locks of one store share its coordinator, which the first of them opens", async () => {
  await inContext(async (context) => {
    const [one, other] = await Promise.all([context.coordinator("deploy"), context.coordinator("backup")]);
    expect(other).toBe(one);
    expect(await context.coordinators()).toEqual([one]);
  });
});
