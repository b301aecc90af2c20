// What the settings' defaults depend on: the machine, the user and the environment. Nothing here can hang: no name
// server is asked.
import { readFileSync } from "node:fs";
import * as os from "node:os";
import { isAbsolute, join } from "node:path";
import { workingDirectory } from "../working-directory.js";
import type { Trust } from "./trust.js";

/** What is around a process, as plain data so that tests can make their own. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `null` where it is gone. */
  readonly cwd: string | null;
  readonly homedir: string;
  /** `/etc`, where the system's own configuration is. */
  readonly etc: string;
  readonly isRoot: boolean;
  /** The effective user id; `null` where the system has none. */
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
 * The node's fully qualified name: the host name where it has a dot, else the official name that the hosts file gives
 * it, else the host name as it is. The name server is not asked, although it may know a longer one: it can hang, and a
 * node that is called otherwise while its name server is away would not know its own claims again.
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

/** Is it a name that any machine may have before somebody gives it one? Claims are known by it, so it will not do where machines share a store. */
export function isNobodysName(node: string): boolean {
  return /^(localhost\d*|ip6-localhost|ip6-loopback|\(none\))(\.|$)/i.test(node);
}

/** Where the journal is kept when nothing is said. */
export function defaultStateDir({ env, homedir, isRoot }: Pick<Surroundings, "env" | "homedir" | "isRoot">): string {
  if (isRoot) return "/var/lib/holdline";
  return join(baseDirectory(env["XDG_STATE_HOME"]) ?? join(homedir, ".local", "state"), "holdline");
}

/** A place where a configuration is looked for. */
export interface Place {
  readonly path: string;
  readonly trust: Trust;
}

/** Where a configuration is looked for when none is named, in this order. */
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
    return ""; // a machine without it has no longer name
  }
}

/**
 * The person who called sudo; `null` where this process does not run under sudo as root. Only root's word counts: anybody
 * else may set the variable, and has a name of their own.
 */
export function sudoUser(env: Surroundings["env"], isRoot = process.geteuid?.() === 0): string | null {
  const user = env["SUDO_USER"] ?? "";
  return isRoot && user !== "" ? user : null;
}

function userName(): string {
  try {
    return os.userInfo().username;
  } catch {
    // A container may run under a number that has no entry in any database.
    return `uid-${process.geteuid?.() ?? "unknown"}`;
  }
}
