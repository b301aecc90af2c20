// A small file system of a test's own, to be filled or made read-only: a full disk without filling anybody's. It takes a
// user who may mount one.
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Enough for a journal and for a small database.
const ROOM = ["-t", "tmpfs", "-o", "size=1m,mode=700", "holdline-test"];
const BALLAST = "ballast";

/** Why there can be no such disk here, in words; `null` where there can. */
export function reasonNotToMount(): string | null {
  const directory = mkdtempSync(join(tmpdir(), "holdline-mount-"));
  try {
    new SmallDisk(directory).close();
    return null;
  } catch {
    return "this user cannot mount a file system";
  } finally {
    rmdirSync(directory);
  }
}

//   open ⇄ full ⇄ read-only; all → closed
export class SmallDisk {
  readonly #directory: string;

  /** Mounts it at a directory, which is made when it is missing. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    mount([...ROOM, directory]);
    mounted.add(this);
  }

  /** To the last byte; a file without any can still be made. */
  fill(): void {
    let size = 65_536;
    while (size >= 1) {
      try {
        appendFileSync(join(this.#directory, BALLAST), "x".repeat(size));
      } catch (error) {
        demandFull(error);
        size /= 2;
      }
    }
  }

  /** To the last inode: no file can be made, be it empty. */
  fillWithFiles(): void {
    mount(["-o", "remount,nr_inodes=40", this.#directory]);
    try {
      for (let count = 0; ; count += 1) writeFileSync(join(this.#directory, `${BALLAST}-${count}`), "");
    } catch (error) {
      demandFull(error);
    }
  }

  protect(): void {
    mount(["-o", "remount,ro", this.#directory]);
  }

  /** Room again, and the right to use it. */
  empty(): void {
    mount(["-o", "remount,rw", this.#directory]);
    for (const name of this.files("")) if (name.startsWith(BALLAST)) rmSync(join(this.#directory, name));
  }

  /** The names below one of its directories. */
  files(path: string): string[] {
    return readdirSync(join(this.#directory, path));
  }

  /** Unmounts it, even while a process has a file of it open. */
  close(): void {
    mounted.delete(this);
    spawnSync("umount", ["-l", this.#directory]);
  }
}

// A process that crashes would leave its mount behind: unmounting is the last thing that this process does.
const mounted = new Set<SmallDisk>();
process.once("exit", () => {
  for (const disk of mounted) disk.close();
});

function demandFull(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
}

function mount(args: readonly string[]): void {
  const { status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`mount ${args.join(" ")}: ${stderr}`);
}
