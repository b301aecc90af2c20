// Loads configurations in a test: from text, in a folder and in surroundings of the test's own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { loadSettings } from "../../src/config/load.js";
import type { LoadRequest } from "../../src/config/load.js";
import type { Settings } from "../../src/config/settings.js";
import type { Surroundings } from "../../src/config/surroundings.js";
import { HoldlineError } from "../../src/locks/errors.js";

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** An empty folder, removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdline-config-"));
  folders.push(folder);
  return folder;
}

/** The surroundings of a process whose working directory exists. */
type Settled = Surroundings & { readonly cwd: string };

export function surroundings(changes: Partial<Settled> = {}): Settled {
  const folder = temporaryFolder();
  return {
    env: {},
    cwd: folder,
    homedir: join(folder, "home"),
    etc: join(folder, "etc"),
    isRoot: false,
    uid: process.geteuid?.() ?? null,
    user: "ann",
    hostname: "web-07.example.com",
    ...changes,
  };
}

/** Writes a file and returns its path. */
export function configFile(text: string | Uint8Array): string {
  const path = join(temporaryFolder(), "holdline.yaml");
  writeFileSync(path, text);
  return path;
}

export interface LoadChanges extends Partial<Omit<LoadRequest, "surroundings">> {
  readonly env?: Surroundings["env"];
  readonly around?: Partial<Settled>;
}

/** Loads a file with this text. */
export function load(text: string | null, { env = {}, around = {}, ...request }: LoadChanges = {}): Promise<Settings> {
  return loadSettings({
    config: text === null ? null : configFile(text),
    flags: new Map(),
    surroundings: surroundings({ env, ...around }),
    ...request,
  });
}

/** The lines of this text's configuration error, without the file's path. */
export async function problemsOf(text: string | null, changes: LoadChanges = {}): Promise<string[]> {
  return problemsIn(load(text, changes));
}

export async function problemsIn(loading: Promise<unknown>): Promise<string[]> {
  const error: unknown = await loading.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HoldlineError) || error.code !== "configuration")
    throw new Error("a configuration error was expected", { cause: error });
  return error.message.split("\n").map((line) => line.replace(/^\S*\/holdline\.yaml:?/, ""));
}
