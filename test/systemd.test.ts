// systemd accepts the units without a word, in a root folder of the test's own that has all that they refer to.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const SHIPPED = new URL("../systemd", import.meta.url).pathname;
const UNITS = [
  "holdline-reboot.timer",
  "holdline-restart-nginx.timer",
  "holdline-resume.service",
  "holdline-resume.timer",
  "holdline-serve.service",
  "holdline-serve.socket",
  "holdline@restart-nginx.service",
  "holdline@restart-nginx.timer",
];

/** What every service, socket and timer refers to, if only by default. */
const TARGETS = ["basic", "multi-user", "network-online", "shutdown", "sockets", "sysinit", "time-set", "time-sync", "timers"];

const version = /systemd (\d+)/.exec(spawnSync("systemd-analyze", ["--version"], { encoding: "utf8" }).stdout ?? "")?.[1];
// The first that looks for units and programs under --root.
const OLDEST = 250;
const problem =
  version === undefined
    ? "systemd-analyze is not installed"
    : Number(version) < OLDEST
      ? `systemd ${version} is older than ${OLDEST}`
      : null;
if (problem !== null) console.log(`systemd.test.ts is skipped: ${problem}`);

describe.skipIf(problem !== null)("the systemd units", () => {
  let root: string;
  let folder: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "holdline-systemd-"));
    folder = join(root, "usr/lib/systemd/system");
    cpSync(SHIPPED, folder, { recursive: true });
    for (const target of TARGETS) writeFileSync(join(folder, `${target}.target`), `[Unit]\nDescription=${target}\n`);
    mkdirSync(join(root, "usr/bin"), { recursive: true });
    writeFileSync(join(root, "usr/bin/holdline"), "#!/bin/sh\n", { mode: 0o755 });
  });

  afterEach(() => rmSync(root, { recursive: true }));

  /** Everything that systemd says of a unit, without regard to its exit code: that is 0 even with warnings. */
  function complaints(unit: string): string {
    const { stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", `--root=${root}`, unit], { encoding: "utf8" });
    return stdout + stderr;
  }

  it.each(UNITS)("%s is accepted without a warning", (unit) => {
    expect(complaints(unit)).toBe("");
  });

  it("the boot does not wait for what resumes after it", () => {
    mkdirSync(join(folder, "multi-user.target.wants"));
    symlinkSync("../holdline-resume.service", join(folder, "multi-user.target.wants/holdline-resume.service"));
    // If the target waited for it, the two would wait for each other, and systemd would say so.
    expect(complaints("multi-user.target")).toBe("");
  });

  /** How much a unit allows, from 0 to 10. */
  function exposure(unit: string): number {
    const args = ["security", "--offline=true", "--no-pager", `--root=${root}`, unit];
    const { stdout } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
    return Number(/Overall exposure level for .*: ([\d.]+)/.exec(stdout)?.[1]);
  }

  // Other versions weigh and look at other things.
  it.skipIf(version !== "252").each(UNITS.filter((unit) => unit.endsWith(".service")))(
    "%s allows no more than is written down",
    (unit) => {
      const readme = readFileSync(join(SHIPPED, "README.md"), "utf8");
      const name = unit.replace(/@.*\./, "@.");
      const written = Number(
        readme
          .split("\n")
          .find((line) => line.startsWith(`| \`${name}\``))
          ?.split("|")[2],
      );
      expect(written).toBeGreaterThan(0);
      expect(exposure(unit)).toBeLessThanOrEqual(written);
    },
  );

  it.skipIf(version !== "252")("the drop-in that is proposed reaches what is said of it", () => {
    const readme = readFileSync(join(SHIPPED, "README.md"), "utf8");
    const [, level, text] = /this one reaches ([\d.]+):\n\n```\n([^`]*)```/.exec(readme) ?? [];
    for (const unit of ["holdline-resume.service", "holdline@restart-nginx.service"]) {
      mkdirSync(join(folder, `${unit}.d`));
      writeFileSync(join(folder, `${unit}.d`, "own.conf"), text ?? "");
      expect(exposure(unit)).toBeLessThanOrEqual(Number(level));
      expect(complaints(unit)).toBe("");
    }
  });

  it.each([
    ["a program that is not there", "ExecStart=/usr/bin/holdline", "ExecStart=/usr/bin/holdfast"],
    ["a setting that does not exist", "ProtectClock=", "ProtectClocks="],
    ["a value that means nothing", "KillMode=mixed", "KillMode=mixture"],
    ["a unit that is not there", "Wants=network-online.target", "Requires=network-onlime.target"],
  ])("the check finds %s", (_, right, wrong) => {
    const path = join(folder, "holdline-resume.service");
    const text = readFileSync(path, "utf8");
    expect(text).toContain(right);
    writeFileSync(path, text.replace(right, wrong));
    expect(complaints("holdline-resume.service")).not.toBe("");
  });
});
