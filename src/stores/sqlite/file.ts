// The database's file: made with nobody else's access to it, refused where it cannot serve, and watched for being
// replaced. It never opens an existing database itself: closing it again would drop SQLite's locks in this process.
import { accessSync, closeSync, constants, mkdirSync, openSync, type Stats, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Examined, Finding } from "../../locks/store-report.js";
import { messageOf, UnreachableError } from "../../locks/errors.js";

/** The identity of a file, to notice when another has taken its place. */
export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
}

/**
 * Makes sure that there is a file at `path` which can be read and written, and its directory too: SQLite keeps its
 * write-ahead log beside it.
 * @throws UnreachableError that names the path, what is wrong and what to do
 */
export function prepareFile(path: string): FileIdentity {
  const directory = dirname(path);
  attempt(path, `its directory ${directory} cannot be made`, () => mkdirSync(directory, { recursive: true, mode: 0o700 }));
  const network = networkFileSystem(attempt(path, "its file system cannot be asked", () => statfsSync(directory).type));
  if (network !== null) {
    throw unusable(path, `it is on a network file system (${network}), where SQLite's locks do not hold`, {
      hint: "put it on a local disk, or use a coordinator for several machines, such as ZooKeeper",
    });
  }
  try {
    closeSync(openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      throw unusable(path, `it cannot be made: ${reasonOf(error)}`, { hint: PERMISSIONS_HINT, cause: error });
    }
  }
  const stats = attempt(path, "it cannot be looked at", () => statSync(path));
  if (!stats.isFile()) {
    const what = stats.isDirectory() ? "it is a directory" : "it is not a regular file";
    throw unusable(path, what, { hint: "name a file in the coordinator's URL, such as sqlite:///var/lib/holdline/holdline.db" });
  }
  attempt(path, "it cannot be read and written", () => accessSync(path, constants.R_OK | constants.W_OK));
  attempt(path, `its directory ${directory} cannot be written`, () => accessSync(directory, constants.W_OK | constants.X_OK));
  return identityOf(stats);
}

/**
 * Is it still the same file? One that was removed lives on for those who have it open, and everyone else makes a new one:
 * two holders of one lock.
 * @throws UnreachableError when it is not
 */
export function checkFile(path: string, identity: FileIdentity): void {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    throw unusable(path, "it has been removed while it was in use", { hint: REPLACED_HINT, cause: error });
  }
  const { device, inode } = identityOf(stats);
  if (device !== identity.device || inode !== identity.inode) {
    throw unusable(path, "another file has taken its place while it was in use", { hint: REPLACED_HINT });
  }
}

const REPLACED_HINT = "nothing of this database may be moved or deleted while holdline runs; start it again";

/** What is to be said of a database that is there and may be used. */
export function examineFile(path: string, version: string): Examined {
  const { mode } = attempt(path, "it cannot be looked at", () => statSync(path));
  const isOthers = (mode & 0o022) !== 0;
  const warning: Finding = {
    severity: "warning",
    code: "configuration",
    message: `other users than the owner of ${path} may write to it, and so change and remove claims`,
    hint: `chmod go-w ${path}, where only root runs holdline`,
  };
  return {
    kind: "sqlite",
    version,
    servers: [],
    facts: { path, mode: (mode & 0o777).toString(8).padStart(4, "0") },
    findings: isOthers ? [warning] : [],
  };
}

/** An error that names the database and what is wrong with it. */
export function unusable(
  path: string,
  problem: string,
  options: { readonly hint?: string; readonly cause?: unknown } = {},
): UnreachableError {
  return new UnreachableError(`the database ${path} cannot be used: ${problem}`, options);
}

// Magic numbers of statfs(2) of file systems that several machines write to.
const NETWORK_FILE_SYSTEMS = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x5346414f, "AFS"],
  [0x00c36400, "Ceph"],
  [0x0bd00bd0, "Lustre"],
  [0x01161970, "GFS2"],
  [0x7461636f, "OCFS2"],
]);

/** The name of a file system that several machines write to, by its number in `statfs`; `null` for any other. */
export function networkFileSystem(type: number): string | null {
  // Node gives the number as the kernel's signed word on some systems.
  return NETWORK_FILE_SYSTEMS.get(type >>> 0) ?? null;
}

const PERMISSIONS_HINT = "check who owns it and its permissions, or choose another place";

function identityOf(stats: Stats): FileIdentity {
  return { device: stats.dev, inode: stats.ino };
}

function attempt<T>(path: string, problem: string, deed: () => T): T {
  try {
    return deed();
  } catch (error) {
    throw unusable(path, `${problem}: ${reasonOf(error)}`, { hint: PERMISSIONS_HINT, cause: error });
  }
}

const REASONS = new Map([
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["EROFS", "the file system is read-only"],
  ["ENOTDIR", "a part of its path is not a directory"],
  ["EEXIST", "a file is in the way"],
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "the disk quota is used up"],
  ["ELOOP", "its symbolic links lead in a circle"],
  ["ENAMETOOLONG", "its name is too long"],
]);

function reasonOf(error: unknown): string {
  return REASONS.get((error as NodeJS.ErrnoException).code ?? "") ?? messageOf(error);
}
