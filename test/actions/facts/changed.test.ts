// Files that are newer than a process: real files, and processes that start when the test says so.
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lookForChanges } from "../../../src/actions/facts/changed.js";
import { openSeenFiles } from "../../../src/actions/state/seen-files.js";
import type { RunningProcess } from "../../../src/actions/machine.js";
import { createProcesses } from "../../../src/actions/processes.js";
import type { BootMoment } from "../../../src/locks/claim.js";
import { ticksNow } from "../../../src/proc.js";
import { cleanUpAfterEach, temporaryDirectory } from "../../support/proc-programs.js";
import { until } from "../../support/wait.js";

cleanUpAfterEach();

const silent = (): void => undefined;
const LOG = { debug: silent, info: silent, warn: silent, error: silent };

const processes = createProcesses();
const now = (): BootMoment => processes.moment();
const TEN_SECONDS = 1_000;

/** A process that started so many ticks from now. */
function startedIn(ticks: number, pid = 1234): RunningProcess {
  return { pid, started: { ...now(), ticks: (ticksNow() ?? 0) + ticks } };
}

function site() {
  const top = temporaryDirectory();
  mkdirSync(join(top, "state"));
  mkdirSync(join(top, "etc"));
  writeFileSync(join(top, "etc/nginx.conf"), "");
  const seen = openSeenFiles(join(top, "state"), LOG);
  const unmatched: string[] = [];
  /** @param skewMs how far the wall clock was set on since the files were written */
  const look = (running: readonly RunningProcess[], { pattern = "etc/**", remembers = true, skewMs = 0 } = {}) =>
    lookForChanges(
      {
        ...{ action: "restart-nginx", patterns: [join(top, pattern)], remembers },
        pattern: { commandString: "nginx", fullCmd: false, user: null },
      },
      {
        ...{ processes: { moment: now, matching: async () => running }, seen },
        ...{ wallNow: () => Date.now() + skewMs, debug: (each) => unmatched.push(each) },
      },
    );
  return { top, conf: join(top, "etc/nginx.conf"), look, unmatched };
}

test("a file is newer than a process that started before it changed, and not than one that started later", async () => {
  const { look, conf } = site();
  expect(await look([startedIn(-TEN_SECONDS)], { pattern: "etc/*.conf" })).toMatchObject({ found: "newer", pid: 1234 });
  expect(await look([startedIn(-TEN_SECONDS)], { pattern: "etc/nginx.conf" })).toEqual({ found: "newer", path: conf, pid: 1234 });
  expect(await look([startedIn(TEN_SECONDS)])).toEqual({ found: "none-newer", files: 2 });
});

test("the eldest process counts", async () => {
  const { look } = site();
  expect(await look([startedIn(TEN_SECONDS, 2), startedIn(-TEN_SECONDS, 1)])).toMatchObject({ found: "newer", pid: 1 });
});

test("without a process the service is down", async () => {
  expect(await site().look([])).toEqual({ found: "no-process" });
});

test("a pattern that finds nothing is told of, and is no problem", async () => {
  const { look, unmatched, top } = site();
  expect(await look([startedIn(-TEN_SECONDS)], { pattern: "nowhere/**" })).toEqual({ found: "none-newer", files: 0 });
  expect(unmatched).toEqual([join(top, "nowhere/**")]);
});

// By a clock that was put back an hour every file looks newer than every process: only what was remembered tells.
const PUT_BACK = { skewMs: -3_600_000 };
const LONG_AGO = new Date("2001-01-01");

test.each<readonly [string, (top: string) => void]>([
  [
    "a file with the times of elsewhere, as cp -p and tar leave it",
    (top) => utimesSync(join(top, "etc/nginx.conf"), LONG_AGO, LONG_AGO),
  ],
  ["a file that was moved there", (top) => renameSync(join(top, "other"), join(top, "etc/other"))],
  ["a file whose mode has changed", (top) => chmodSync(join(top, "etc/nginx.conf"), 0o600)],
  ["a link that was switched", (top) => symlinkSync("/nowhere", join(top, "etc/current"))],
  ["a file that was removed", (top) => rmSync(join(top, "etc/nginx.conf"))],
])("%s counts, also for a process that had read what was there before", async (_, change) => {
  const { look, top } = site();
  writeFileSync(join(top, "other"), "");
  expect(await look([startedIn(-TEN_SECONDS)], PUT_BACK)).toMatchObject({ found: "newer" });
  const restarted = startedIn(1);
  expect(await look([restarted], PUT_BACK)).toMatchObject({ found: "none-newer" });
  await pastTick();
  change(top);
  expect(await look([restarted], PUT_BACK)).toMatchObject({ found: "newer" });
});

/** Until the kernel gives files another time than the ones that they have. */
function pastTick(): Promise<unknown> {
  const since = ticksNow() ?? 0;
  return until(() => (ticksNow() ?? 0) > since + 1, "the next tick of the clock");
}

test("a process that has started since a run saw the files has read them, and the elder ones have not", async () => {
  const { look } = site();
  const elder = startedIn(-TEN_SECONDS, 7);
  expect(await look([elder], PUT_BACK)).toMatchObject({ found: "newer" });
  const restarted = startedIn(1);
  expect(await look([restarted], PUT_BACK)).toMatchObject({ found: "none-newer" });
  expect(await look([elder, restarted], PUT_BACK)).toMatchObject({ found: "newer", pid: 7 });
});

test("so has every process after a reboot", async () => {
  const { look } = site();
  await look([startedIn(-TEN_SECONDS)], PUT_BACK);
  const rebooted = { pid: 7, started: { bootId: "another", ticks: 5, wallMs: Date.now() } };
  expect(await look([rebooted], PUT_BACK)).toMatchObject({ found: "none-newer" });
});

test("somebody who only looks leaves nothing to remember", async () => {
  const { look } = site();
  await look([startedIn(-TEN_SECONDS)], { ...PUT_BACK, remembers: false });
  expect(await look([startedIn(1)], PUT_BACK)).toMatchObject({ found: "newer" });
});

test("damage to what is remembered costs one run more", async () => {
  const { look, top } = site();
  await look([startedIn(-TEN_SECONDS)], PUT_BACK);
  const [file = ""] = readdirSync(join(top, "state/seen"));
  writeFileSync(join(top, "state/seen", file), "garbage");
  expect(await look([startedIn(1)], PUT_BACK)).toMatchObject({ found: "newer" });
  expect(await look([startedIn(2)], PUT_BACK)).toMatchObject({ found: "none-newer" });
});
