import { afterEach, describe, expect, test, vi } from "vitest";
import type { HeadOfLine } from "../../src/line/progress.js";
import { openReporter, waitingWords } from "../../src/cli/progress.js";
import type { Reporter, ReporterOptions } from "../../src/cli/progress.js";
import { claim, FAILURE, recordedIo } from "./fakes.js";

const BEHIND: HeadOfLine = {
  owner: claim().owner,
  isNamesakes: false,
  condition: "running",
  forMs: 12_000,
  reason: null,
  failure: null,
};

const open: Reporter[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const reporter of open.splice(0)) await reporter.close();
});

function reporter(io: ReturnType<typeof recordedIo>, options: Partial<ReporterOptions> = {}): Reporter {
  const opened = openReporter({ level: "info", format: "auto", node: "web-08", io, ...options });
  open.push(opened);
  return opened;
}

test("words for waiting", () => {
  expect(waitingWords("restart/nginx", 3, BEHIND)).toBe("3rd in line for restart/nginx, behind web-07: restart-nginx for 12 s");
  expect(waitingWords("l", 1, { ...BEHIND, condition: "stale" })).toContain("its agent is gone");
  expect(waitingWords("l", 1, { ...BEHIND, condition: "failed", failure: { ...FAILURE, agoMs: 720_000 } })).toBe(
    "1st in line for l: FAILED on web-07 12 min ago: exit code 1",
  );
  const exec = { ...BEHIND, owner: { ...BEHIND.owner, action: "exec backup 0123456789ab" } };
  const ends = ' (ends with the same "holdline exec --durable" there, or holdline clear)';
  expect(waitingWords("l", 1, exec)).not.toContain(ends);
  expect(waitingWords("l", 1, { ...exec, condition: "stale" })).toContain(`its agent is gone${ends}`);
  expect(waitingWords("l", 1, { ...exec, condition: "failed", failure: { ...FAILURE, agoMs: 720_000 } })).toBe(
    `1st in line for l: FAILED on web-07 12 min ago: exit code 1${ends}`,
  );
  expect(waitingWords("l", 2, null)).toBe("2nd in line for l");
  expect(waitingWords("l", 1, { ...BEHIND, reason: "schema 42" })).toBe(
    "1st in line for l, behind web-07: restart-nginx for 12 s (schema 42)",
  );
});

describe("on a terminal", () => {
  test("waiting is one line that is rewritten, also as time goes by", () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    const io = recordedIo({ isTerminal: true });
    const { progress } = reporter(io);
    progress.waiting("l", 2, BEHIND);
    vi.advanceTimersByTime(1_000);
    progress.waiting("l", 1, BEHIND);
    progress.step("running a", {});
    vi.advanceTimersByTime(5_000);
    const wipe = "\r\x1b[2K";
    expect(io.err()).toBe(
      `${wipe}2nd in line for l, behind web-07: restart-nginx for 12 s${wipe}2nd in line for l, behind web-07: restart-nginx for 13 s` +
        `${wipe}1st in line for l, behind web-07: restart-nginx for 12 s${wipe}holdline: running a\n`,
    );
  });

  test("the line never wraps, and is wiped before anything else is written", async () => {
    const io = recordedIo({ isTerminal: true, columns: 30 });
    const opened = reporter(io);
    opened.progress.waiting("a/very/long/name/of/a/lock\x1b[2J", 2, BEHIND);
    expect(io.err()).toBe("\r\x1b[2K2nd in line for a/very/long/…");
    opened.io.stderr.write("x\n");
    expect(io.err()).toBe("\r\x1b[2K2nd in line for a/very/long/…\r\x1b[2Kx\n");
    await opened.close();
    opened.io.stdout.write("y\n");
    expect(io.err().endsWith("x\n")).toBe(true);
  });

  test("quiet says nothing but errors, verbose says more", () => {
    const quiet = recordedIo({ isTerminal: true });
    const log = reporter(quiet, { level: "error" });
    log.progress.waiting("l", 1, BEHIND);
    log.progress.step("running", {});
    log.log.error({}, "broken");
    expect(quiet.err()).toBe("holdline: broken\n");
    const verbose = recordedIo({ isTerminal: true });
    reporter(verbose, { level: "debug" }).log.debug({ lock: "l", n: 1 }, "joined");
    expect(verbose.err()).toBe("holdline: joined (lock: l, n: 1)\n");
  });
});

describe("elsewhere", () => {
  const lines = (io: ReturnType<typeof recordedIo>) =>
    io
      .err()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test("each change is one JSON line, in the order in which it came", async () => {
    const io = recordedIo();
    const opened = reporter(io);
    opened.progress.waiting("l", 2, BEHIND);
    opened.progress.waiting("l", 2, { ...BEHIND, forMs: 13_000 });
    opened.progress.waiting("l", 1, BEHIND);
    opened.progress.step("running a", { action: "a" });
    await opened.close();
    opened.log.warn({ x: 1 }, "late");
    expect(lines(io)).toEqual([
      expect.objectContaining({
        level: "info",
        node: "web-08",
        lock: "l",
        place: 2,
        msg: "2nd in line for l, behind web-07: restart-nginx for 12 s",
      }),
      expect.objectContaining({
        place: 1,
        behind: {
          node: "web-07",
          principal: "deploy@example.com",
          action: "restart-nginx",
          condition: "running",
          forMs: 12_000,
          reason: null,
          failure: null,
        },
      }),
      expect.objectContaining({ action: "a", msg: "running a" }),
      expect.objectContaining({ level: "warn", x: 1, msg: "late" }),
    ]);
    expect(String(lines(io)[0]?.["time"])).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  });

  test("numbers are rounded", async () => {
    const io = recordedIo();
    const opened = reporter(io);
    opened.progress.waiting("l", 2, { ...BEHIND, forMs: 12_345.678_9 });
    opened.log.warn({ share: 0.123_456, token: 12_884_901_905, list: [1.000_4], error: "0.123456" }, "words");
    await opened.close();
    const [first, second] = io
      .err()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(first).toMatchObject({ behind: { forMs: 12_346 } });
    expect(second).toMatchObject({ share: 0.123, token: 12_884_901_905, list: [1], error: "0.123456" });
  });

  test("nothing is written that the level leaves out", async () => {
    const io = recordedIo();
    const opened = reporter(io, { level: "silent" });
    opened.log.error({}, "x");
    await opened.close();
    expect(io.err()).toBe("");
  });

  test("the format that was asked for is kept", async () => {
    const text = recordedIo();
    reporter(text, { format: "text" }).progress.waiting("l", 1, BEHIND);
    expect(text.err()).toBe("holdline: 1st in line for l, behind web-07: restart-nginx for 12 s\n");
    const json = recordedIo({ isTerminal: true });
    const opened = reporter(json, { format: "json" });
    opened.progress.step("x", {});
    await opened.close();
    expect(lines(json)[0]).toMatchObject({ msg: "x" });
  });
});
