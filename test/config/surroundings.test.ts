import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { qualifiedName, sudoUser, surroundingsHere } from "../../src/config/surroundings.js";
import { temporaryFolder } from "./loading.js";

test.each([
  [
    "a host name with a dot is qualified",
    "web-07.example.com",
    "127.0.1.1 other.example.com web-07.example.com",
    "web-07.example.com",
  ],
  [
    "the hosts file knows the longer name",
    "web-07",
    "127.0.0.1 localhost\n127.0.1.1 web-07.example.com web-07 # us\n",
    "web-07.example.com",
  ],
  ["also where the short one is not said", "web-07", "10.0.0.7 web-07.example.com", "web-07.example.com"],
  ["a name that only begins alike is another's", "web-0", "10.0.0.7 web-07.example.com web-07", "web-0"],
  ["an alias of localhost says nothing", "web-07", "127.0.0.1 localhost.localdomain localhost web-07", "web-07"],
  ["without a longer name it is the short one", "web-07", "127.0.1.1 web-07", "web-07"],
])("%s", (_, hostname, hosts, expected) => {
  const etc = join(temporaryFolder(), "etc");
  mkdirSync(etc);
  writeFileSync(join(etc, "hosts"), hosts);
  expect(qualifiedName({ hostname, etc })).toBe(expected);
});

test("a machine without a hosts file has its host name", () =>
  expect(qualifiedName({ hostname: "web-07", etc: "/nowhere" })).toBe("web-07"));

test("there is something around every process", () => {
  const here = surroundingsHere();
  expect([here.cwd, here.user !== "", here.hostname !== ""]).toEqual([process.cwd(), true, true]);
});

test("under sudo the person who called it acts, and only root is believed", () => {
  expect(sudoUser({ SUDO_USER: "ann" }, true)).toBe("ann");
  expect(sudoUser({ SUDO_USER: "ann" }, false)).toBeNull();
  expect(sudoUser({}, true)).toBeNull();
  expect(sudoUser({ SUDO_USER: "" }, true)).toBeNull();
});
