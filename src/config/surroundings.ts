// The machine, the user and the environment, as far as the settings' defaults depend on them. Nothing here can hang: it asks no
// name server.
import { readFileSync } from "node:fs";
import * as os from "node:os";
import { isAbsolute, join } from "node:path";
import { workingDirectory } from "../working-directory.js";
import type { Trust } from "./trust.js";

/** What surrounds a process, as plain data, so that tests can make their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `null` if it is gone. */
  readonly cwd: string | null;
  readonly homedir: string;
  /** The directory of the system's configuration: `/etc`. */
  readonly etc: string;
  readonly isRoot: boolean;
  /** The effective user id; `null` if the system has none. */
  readonly uid: number | null;
  readonly user: string;
  readonly hostname: string;
}

/** This process's own. */
export function surroundingsHere(): Surroundings {
  return {
    env: process.env,
    cwd: workingDirectory(),
    homedir: os.homedir(),
    etc: "/etc",
    isRoot: process.geteuid?.() === 0,
    uid: process.geteuid?.() ?? null,
    user: sudoUser(process.env) ?? userName(),
    hostname: os.hostname(),
  };
}

/**
 * The node's fully qualified name: the host name if it has a dot, else the official name in the hosts file, else the host name
 * as it is. A name server may know a longer one, but it can hang; and a node whose name changed with the name server's health
 * would not recognize its own claims.
 */
export function qualifiedName({ hostname, etc }: Pick<Surroundings, "hostname" | "etc">): string {
  if (hostname.includes(".")) return hostname;
  for (const line of readIfReadable(join(etc, "hosts")).split("\n")) {
    const [, official, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const isOurs = official?.startsWith(`${hostname}.`) === true || aliases.includes(hostname);
    if (isOurs && official?.includes(".") === true && !official.startsWith("localhost.")) return official;
  }
  return hostname;
}

/** Whether any machine may have this name before somebody names it. Machines that share a store need names of their own. */
export function isNobodysName(node: string): boolean {
  return /^(localhost\d*|ip6-localhost|ip6-loopback|\(none\))(\.|$)/i.test(node);
}

/** Where the journal is by default. */
export function defaultStateDir({ env, homedir, isRoot }: Pick<Surroundings, "env" | "homedir" | "isRoot">): string {
  if (isRoot) return "/var/lib/holdline";
  return join(baseDirectory(env["XDG_STATE_HOME"]) ?? join(homedir, ".local", "state"), "holdline");
}

/** A usual place of a configuration. */
export interface Place {
  readonly path: string;
  readonly trust: Trust;
}

/** The usual places of a configuration, in the order in which they are searched when nobody names a file. */
export function searchPath({ env, homedir, cwd, etc }: Pick<Surroundings, "env" | "homedir" | "cwd" | "etc">): readonly Place[] {
  const configHome = baseDirectory(env["XDG_CONFIG_HOME"]) ?? join(homedir, ".config");
  return [
    ...(cwd === null ? [] : [{ path: join(cwd, "holdline.yaml"), trust: "strict" } as const]),
    { path: join(configHome, "holdline", "holdline.yaml"), trust: "owned" },
    { path: join(etc, "holdline", "holdline.yaml"), trust: "system" },
  ];
}

// The XDG specification asks that relative paths be ignored.
function baseDirectory(path: string | undefined): string | null {
  return path !== undefined && isAbsolute(path) ? path : null;
}

function readIfReadable(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // without the file there is no longer name
  }
}

/**
 * The user who called sudo; `null` if this process does not run as root under sudo. Anybody may set the variable, so it counts
 * only for root.
 */
export function sudoUser(env: Surroundings["env"], isRoot = process.geteuid?.() === 0): string | null {
  const user = env["SUDO_USER"] ?? "";
  return isRoot && user !== "" ? user : null;
}

function userName(): string {
  try {
    return os.userInfo().username;
  } catch {
    // A container may run under a user id that no database knows.
    return `uid-${process.geteuid?.() ?? "unknown"}`;
  }
}
