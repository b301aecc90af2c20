// Which machine a claim was made on, by what is known of both.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isOfMachine, openMachineIdentity, readMachineIdentity } from "../../src/actions/machine-identity.js";
import { cleanUpAfterEach, createTestLog, temporaryDirectory } from "../support/proc-programs.js";

cleanUpAfterEach();

const [A, B, C] = ["a".repeat(16), "b".repeat(16), "c".repeat(16)];
const process = { bootId: "boot-1", pidNamespace: "pid:[1]", pid: 7, startTicks: 9 };
const owner = (machine: string | null, bootId: string | null) => ({
  node: "web",
  principal: "root@web",
  action: "restart",
  process: { ...process, bootId },
  ...(machine === null ? {} : { machine }),
});

describe("a claim is this machine's", () => {
  test.each([
    ["in the same boot, though another user's state directory made it", `${A}.-.${B}`, "boot-1", `${A}.-.${C}`, true],
    ["in the same boot, though it names no machine", null, "boot-1", `${A}.-.${C}`, true],
    ["not in the same boot of a container with an id of its own", `${A}.-.${B}`, "boot-1", `${C}.-.${B}`, false],
    ["after a reboot, by its state directory", `${A}.-.${B}`, "boot-0", `${A}.-.${B}`, true],
    ["after a reboot, by its hardware", `${A}.${C}.${A}`, "boot-0", `${A}.${C}.${B}`, true],
    ["not by an image's machine id alone", `${A}.-.${B}`, "boot-0", `${A}.-.${C}`, false],
    ["not with other hardware, though the state directory was copied", `${A}.${B}.${B}`, "boot-0", `${A}.${C}.${B}`, false],
    ["not after a reboot where it names no machine", null, "boot-0", `${A}.-.${B}`, false],
    ["not by garbage", "x.y", "boot-0", "x.y", false],
    ["not by boots that nobody knows", null, null, `${A}.-.${B}`, false],
  ])("%s", (_, machine, bootId, self, expected) => {
    expect(isOfMachine(owner(machine, bootId), { machine: self, process })).toBe(expected);
  });
});

describe("the state directory", () => {
  const machineWith = (id: string) => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "machine-id"), id);
    return { machineId: join(directory, "machine-id"), hardware: join(directory, "no-such-file") };
  };

  test("keeps what tells its machine, and lookers make nothing", () => {
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
