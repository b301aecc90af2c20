// What the commands for leases share: which lock and lease the arguments name, handing over a new lease, and telling that others
// hold a lock.
import type { Field } from "../config/field.js";
import { DEFAULT_TTL_MS, readTtlMs, settingsOfLock } from "../config/locks.js";
import type { LockInForce } from "../config/locks.js";
import { releaseLease } from "../leases/lease.js";
import type { Acquired } from "../leases/acquiring.js";
import type { Frozen } from "../leases/frozen.js";
import type { HeldLease } from "../leases/request.js";
import { describeFreezes } from "../line/words.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { formatDuration } from "../locks/durations.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { ID_EXAMPLE, isClaimId, parseClaimId } from "../locks/ids.js";
import { parseLockName } from "../locks/names.js";
import { quoted } from "../locks/text.js";
import { claimAsJson, freezeAsJson } from "../views/json.js";
import { viewHolder } from "../views/lock.js";
import type { Invocation } from "./command.js";
import type { Context } from "./context.js";
import { paintFor } from "./io.js";
import { describeClaim } from "./listing.js";
import { readOption } from "./options.js";
import { outputLost, printDocument, printLines } from "./output.js";
import { sanitize } from "./render.js";

/** A lock that a command names, with its settings. */
export interface NamedLock extends LockInForce {
  readonly lock: string;
}

/** @throws HoldlineError `usage` */
export function readLock(context: Pick<Context, "settings">, { args }: Pick<Invocation, "args">): NamedLock {
  const lock = parseLockName(args[0]);
  return { lock, ...settingsOfLock(context.settings, lock) };
}

/**
 * The id of the lease, or other claim, that follows the lock's name on the command line.
 * @param read parses the id
 * @throws HoldlineError `usage`
 */
export function readClaimId({ args }: Pick<Invocation, "args">, read = parseClaimId): string {
  const [lock = "", id = ""] = args;
  if (isClaimId(lock) && !isClaimId(id)) {
    throw new HoldlineError(
      "usage",
      `the arguments are in the wrong order: ${quoted(lock)} is an id, and must follow the lock's name`,
      {
        hint: "first the lock's name, then the id",
      },
    );
  }
  return read(id, `first the lock's name, then the id that acquire printed, such as ${ID_EXAMPLE}`);
}

/** How long the lease shall last, in milliseconds: from `--ttl`, else from the configuration. @throws HoldlineError `usage` */
export function readTtl(options: Invocation["options"], { ttlMs }: LockInForce): number {
  return readOption(options, "ttl", (field: Field) => readTtlMs(field), ttlMs ?? DEFAULT_TTL_MS);
}

/**
 * Whether `--despite-freeze` is given, with the reason that has to explain it.
 * @param why the option for the reason
 * @throws HoldlineError `usage`
 */
export function readDespiteFreeze(options: Invocation["options"], why: "reason" | "description"): boolean {
  if (options["despiteFreeze"] !== true) return false;
  if (options[why] !== undefined) return true;
  throw new HoldlineError("usage", `--despite-freeze needs --${why}: others want to know why this could not wait for the thaw`);
}

/** What to do about a freeze. */
export const FROZEN_HINT = "holdline freezes shows what is frozen; holdline thaw ID ends a freeze";

/** Tells that a lock is frozen. */
export function tellFrozen({ io, json }: Pick<Context, "io" | "json">, { lock, freezes }: Frozen): void {
  const message = `${lock} is ${describeFreezes(freezes)}`;
  if (json) printDocument(io, { error: { code: "frozen", message, hint: FROZEN_HINT }, freezes: freezes.map(freezeAsJson) });
  io.stderr.write(`${paintFor(io, "stderr")("red", `holdline: ${sanitize(message)}`)}\n  ${FROZEN_HINT}\n`);
}

/** Prints a held lease as JSON. */
export function printLease({ io, perspective }: Pick<Context, "io" | "perspective">, claim: Claim): void {
  printDocument(io, { claim: { ...claimAsJson(viewHolder(claim, perspective)), lock: claim.lock } });
}

/**
 * Makes sure that the caller got the id of a new lease. If the id could not be written, for example because the reader has
 * gone, releases the lease.
 * @throws HoldlineError `output-lost`
 */
export async function handOver({ io }: Pick<Context, "io">, coordinator: Coordinator, lease: HeldLease, by: string): Promise<void> {
  const failure = await io.stdout.flushed();
  if (failure === null) return;
  const { id, locks } = lease;
  const [lock = ""] = locks;
  try {
    await releaseLease(coordinator, lock, id, { by, reason: "its id could not be written" });
  } catch (error) {
    const lost = outputLost(failure, `the id ${id} of the lease on ${lock}`);
    throw new HoldlineError("output-lost", `${lost.message}, and the lease could not be given back: ${messageOf(error)}`, {
      hint: `release it with: holdline unlock ${id}`,
      cause: error,
    });
  }
  throw outputLost(failure, `the lease on ${locks.join(", ")} was given back, because its id`);
}

/** Tells that others hold a lock: who, since when and why for people, and the holders' ids for programs. */
export async function tellHeld(
  context: Context,
  coordinator: Coordinator,
  { holders }: Pick<Extract<Acquired, { outcome: "held" }>, "holders">,
  waitMs: number | null,
  /** The lock's name, if the caller asked for several. */
  name: string | null = null,
): Promise<void> {
  const { io, json, perspective } = context;
  const now = (await coordinator.sync(context.stop.signal)).ms;
  const views = holders.map((claim) => viewHolder(claim, perspective));
  const described = views.map((holder) => {
    const { reason, lease } = holder;
    const caller = lease?.caller == null ? "" : sanitize(`, for ${lease.caller}`);
    const file = lease?.path == null ? "" : sanitize(`, ${lease.path}`);
    return `${describeClaim(holder, now, perspective)}${file}${caller}${reason === null || reason === "" ? "" : `: ${sanitize(reason)}`}`;
  });
  const title = `Lock held${name === null ? "" : `: ${sanitize(name)}`}${waitMs === null || waitMs === 0 ? "" : ` (waited ${formatDuration(waitMs)} for it)`}`;
  if (json) {
    const error = { code: "held", message: [title, ...described].join("\n"), hint: waitMs === 0 ? "--wait waits for it" : null };
    printDocument(io, { error, holders: views.map(claimAsJson) });
  } else {
    printLines(
      io,
      holders.map(({ id }) => sanitize(id)),
    );
  }
  io.stderr.write(`${paintFor(io, "stderr")("red", `holdline: ${title}`)}\n${described.map((line) => `  ${line}\n`).join("")}`);
}
