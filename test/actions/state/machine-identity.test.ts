// How a machine recognizes itself: the signs, and the state directory that keeps one of them.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openMachineIdentity, readMachineIdentity } from "../../../src/actions/state/machine-identity.js";
import { cleanUpAfterEach, createTestLog, temporaryDirectory } from "../../support/proc-programs.js";

cleanUpAfterEach();

describe("the state directory", () => {
  const machineWith = (id: string) => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "machine-id"), id);
    return { machineId: join(directory, "machine-id"), hardware: join(directory, "no-such-file") };
  };

  test("keeps its sign, and a look makes nothing", () => {
    const [state, places, log] = [join(temporaryDirectory(), "state"), machineWith("one"), createTestLog()];
    expect(readMachineIdentity(state, places)).toMatch(/^[0-9a-f]{16}\.-\.-$/);
    expect(existsSync(state)).toBe(false);
    const machine = openMachineIdentity(state, log, places);
    expect(openMachineIdentity(state, log, places)).toBe(machine);
    expect(readMachineIdentity(state, places)).toBe(machine);
    expect(log.lines).toEqual([]);
  });

  test("that was copied to another machine begins anew, and its journal is set aside", () => {
    const [state, log] = [join(temporaryDirectory(), "state"), createTestLog()];
    const before = openMachineIdentity(state, log, machineWith("one"));
    mkdirSync(join(state, "journal"));
    writeFileSync(join(state, "journal", "x"), "");
    const after = openMachineIdentity(state, log, machineWith("two"));
    expect(after.split(".")[2]).not.toBe(before.split(".")[2]);
    const aside = readdirSync(state).find((name) => name.startsWith("journal.of-another-machine-")) as string;
    expect(readFileSync(join(state, aside, "x"), "utf8")).toBe("");
    expect(existsSync(join(state, "journal"))).toBe(false);
    expect(log.lines.map(({ level }) => level)).toEqual(["warn"]);
  });

  test("with a damaged file is another machine from then on", () => {
    const [state, places, log] = [join(temporaryDirectory(), "state"), machineWith("one"), createTestLog()];
    const before = openMachineIdentity(state, log, places);
    writeFileSync(join(state, "machine.json"), "{");
    expect(openMachineIdentity(state, log, places)).not.toBe(before);
  });
});
