// A root, a directory and ids of each test's own, so that no test sees what another left.
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A root in ZooKeeper that nobody else uses: `/t-<random>`. */
export function freshRoot(): string {
  return `/t-${randomBytes(8).toString("hex")}`;
}

/** A claim's id. */
export function freshId(): string {
  return randomUUID();
}

/** A temporary directory that goes when the running test has finished. */
export async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "holdline-test-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
