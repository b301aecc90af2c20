// `holdline lock`: locks a host or a file on it, together with the hosts that it depends on. Owns the options' meaning; leases/
// takes all locks or none.
import { isoTime } from "../../locks/durations.js";
import { homedir } from "node:os";
import { refuseSeveralStores } from "../../views/stores.js";
import { readChoice, readDescription, readDurationMs, readDurationOrNoneMs, readLabel, readWhole } from "../../config/field.js";
import { readTtlMs, settingsOfLock } from "../../config/locks.js";
import { absolutePath } from "../../config/paths.js";
import type { Settings } from "../../config/settings.js";
import { HOST_LOCK_TYPES, hostLocksOf, knownAs, knownHosts, parseFilePath, parseHost } from "../../leases/hosts.js";
import type { HostLockType } from "../../leases/hosts.js";
import { acquireLease } from "../../leases/acquiring.js";
import type { HeldLease, LeaseRequest } from "../../leases/request.js";
import { HoldlineError } from "../../locks/errors.js";
import { hostLock } from "../../locks/names.js";
import type { Command, Invocation } from "../command.js";
import type { Context } from "../context.js";
import { warnOfSkipCoordination } from "../coordinated.js";
import { readDataOption } from "../data-option.js";
import { exitCodeOfAcquired } from "../exit-codes.js";
import { dependenciesInForce, enumerate, warnOfOtherName } from "../hosts.js";
import { handOver, readDespiteFreeze, tellFrozen, tellHeld } from "../leases.js";
import { readOption } from "../options.js";
import { printDocument, printLines } from "../output.js";
import { workingDirectory } from "../../working-directory.js";

// As ResourceLocker does: three attempts, ten seconds apart.
const DEFAULT_ATTEMPTS = 3;
const DEFAULT_SLEEP_MS = 10_000;
const MOST_ATTEMPTS = 1_000_000;

/** What to lock: the hosts, the named one first, and the request for their locks. */
export interface HostRequest {
  readonly hosts: readonly string[];
  readonly request: LeaseRequest;
}

export const lock: Command = {
  async run(context, invocation) {
    const { hosts, request } = await parseLock(invocation, context.settings);
    refuseSeveralStores(context.settings, request.locks);
    warnOfSkipCoordination(context, hosts[0] as string);
    const leases = await context.leases(request.locks[0] as string);
    await warnOfOtherName(context, hosts[0] as string);
    const acquired = await acquireLease(request, leases);
    if (acquired.outcome === "held") await tellHeld(context, leases.coordinator, acquired, request.waitMs, acquired.lock);
    else if (acquired.outcome === "frozen") tellFrozen(context, acquired);
    else {
      tellLocked(context, hosts, request, acquired.lease);
      await handOver(context, leases.coordinator, acquired.lease, request.principal);
    }
    return exitCodeOfAcquired(acquired);
  },
};

/** @throws HoldlineError `usage`, or `configuration` for a wrong map of dependencies */
export async function parseLock({ args, options }: Invocation, settings: Settings): Promise<HostRequest> {
  const target = parseTarget(args[0], options, settings);
  const { path, type } = target;
  const dependencies = options["dependencies"] === false ? null : await dependenciesInForce(options, settings);
  const host = knownAs(target.host, knownHosts(settings.node, dependencies ?? settings.dependencies));
  const { hosts, ...locked } = hostLocksOf({ host, path, type, dependencies });
  const { ttlMs, principal } = settingsOfLock(settings, hostLock(host));
  const alone = options["ensureUnlock"] === true;
  return {
    hosts,
    request: {
      ...locked,
      principal,
      caller: readOption(options, "caller", readLabel, null),
      reason: readOption(options, "description", readDescription, null),
      data: await readDataOption(options, "data"),
      ttlMs: options["ttl"] === "none" ? null : readOption(options, "ttl", readTtlMs, ttlMs),
      waitMs: readWaitMs(options, alone),
      alone,
      despiteFreeze: readDespiteFreeze(options, "description"),
    },
  };
}

function parseTarget(
  name: string | undefined,
  options: Invocation["options"],
  { node }: Settings,
): { readonly host: string; readonly path: string | null; readonly type: HostLockType } {
  const file = options["file"];
  const type = readOption(options, "type", (field) => readChoice(field, HOST_LOCK_TYPES), file === undefined ? "generic" : "file");
  if (typeof file === "string") {
    if (name !== undefined) {
      throw new HoldlineError("usage", "HOST and --file exclude each other: the path says on which host the file is", {
        hint: "write for example --file server:/path",
      });
    }
    if (type !== "file")
      throw new HoldlineError("usage", `--file and --type ${type} exclude each other: a lock on a file has the type file`);
    // Such a path depends on this process's directories, so it is made absolute.
    const path = /^(?:~|\.{1,2})(?:\/|$)/.test(file) ? absolutePath(file, workingDirectory(), homedir()) : file;
    return { ...parseFilePath(path, node), type };
  }
  if (name === undefined) {
    throw new HoldlineError("usage", "no host given", {
      hint: "usage: holdline lock HOST, or holdline lock --file PATH",
    });
  }
  // The type file without a path means files of that host, which the description may name.
  return { host: parseHost(name), path: null, type };
}

/** How long to wait in line, in milliseconds: `--wait`, or the time in which ResourceLocker would make its attempts. */
function readWaitMs(options: Invocation["options"], alone: boolean): number | null {
  const given = ["wait", "retry", "sleep"].filter((name) => options[name] !== undefined);
  if (given[0] === "wait" && given[1] !== undefined) throw exclude("--wait", `--${given[1]}`);
  const waitMs =
    given[0] === "wait"
      ? readOption(options, "wait", (field) => readDurationOrNoneMs(field, { zero: true }), 0)
      : (readOption(options, "retry", (field) => readWhole(field, 1, MOST_ATTEMPTS), DEFAULT_ATTEMPTS) - 1) *
        readOption(options, "sleep", (field) => readDurationMs(field, { zero: true }), DEFAULT_SLEEP_MS);
  if (!alone) return waitMs;
  if (given[0] !== undefined && waitMs !== 0) throw exclude("--ensure-unlock", `--${given[0]}`);
  return 0;
}

function exclude(one: string, other: string): HoldlineError {
  return new HoldlineError("usage", `${one} and ${other} exclude each other`);
}

function tellLocked(context: Context, hosts: readonly string[], { path, type }: LeaseRequest, lease: HeldLease): void {
  const { id, locks, fencingToken, expiresAt } = lease;
  const [host, ...others] = hosts;
  const what = path === null ? host : `${path} on ${host}`;
  const along = others.length === 0 ? "" : `, with ${enumerate(others)}`;
  const until = expiresAt === null ? ", until it is unlocked" : `, until ${isoTime(expiresAt)}`;
  context.log.info({ claim: id, locks }, `locked ${what}${along}${until}`);
  if (context.json) {
    const times = { fencingToken, expiresAt: expiresAt === null ? null : isoTime(expiresAt) };
    printDocument(context.io, { outcome: "acquired", id, type, path, hosts, locks, ...times });
  } else printLines(context.io, [id]);
}
