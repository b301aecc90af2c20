// Whether a claim was made on this machine, by the signs of both.
import { describe, expect, test } from "vitest";
import { isOfMachine } from "../../src/line/machine-signs.js";

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
