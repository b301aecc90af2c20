// Where the doors' files are: in memory where the system has such a place, because files by the ten thousand, each of
// them flushed, would keep a disk busy for minutes.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

const MEMORY = "/dev/shm";
const places: string[] = [];

afterEach(() => {
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

/** An empty directory that goes with the test. */
export function openPlace(): string {
  const place = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "holdline-doors-"));
  places.push(place);
  return place;
}
