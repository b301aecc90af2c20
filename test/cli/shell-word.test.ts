import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { shellWord } from "../../src/cli/shell-word.js";

test("a word for a shell arrives as it is", () => {
  for (const text of ["postgresql://bob@db1/app?schema=x&password_file=/etc/pw", "redis://:it's@r1/0", "$HOME", "a b", "*", ""])
    expect(execFileSync("/bin/sh", ["-c", `printf %s ${shellWord(text)}`], { encoding: "utf8" })).toBe(text);
  expect(shellWord("zookeeper://zk1:2181,zk2/holdline")).toBe("zookeeper://zk1:2181,zk2/holdline");
});
