// What the commands for leases share: which lock and which lease are meant, what is in force for them, and how it is told
// that somebody else holds a lock.
import type { Field } from "../config/field.js";
import { DEFAULT_TTL_MS, readTtlMs, settingsOfLock } from "../config/locks.js";
import type { LockInForce } from "../config/locks.js";
import { releaseLease } from "../leases/lease.js";
import type { Acquired } from "../leases/acquiring.js";
import type { HeldLease } from "../leases/request.js";
import type { Claim } from "../locks/claim.js";
import type { Coordinator } from "../locks/coordinator.js";
import { formatDuration } from "../locks/durations.js";
import { HoldlineError, messageOf } from "../locks/errors.js";
import { ID_EXAMPLE, isClaimId, parseClaimId } from "../locks/ids.js";
import { parseLockName } from "../locks/names.js";
import { quoted } from "../locks/text.js";
import { claimAsJson } from "../views/json.js";
import { viewHolder } from "../views/lock.js";
import type { Invocation } from "./command.js";
import type { Context } from "./context.js";
import { paintFor } from "./io.js";
import { describeClaim } from "./listing.js";
import { readOption } from "./options.js";
import { outputLost, printDocument, printLines } from "./output.js";
import { sanitize } from "./render.js";

/** A lock that a command names, and what the configuration says of it. */
export interface NamedLock extends LockInForce {
  readonly lock: string;
}

/** @throws HoldlineError `usage` */
export function readLock(context: Pick<Context, "settings">, { args }: Pick<Invocation, "args">): NamedLock {
  const lock = parseLockName(args[0]);
  return { lock, ...settingsOfLock(context.settings, lock) };
}

/**
 * A lease, or another claim, that a command names behind its lock.
 * @param read what may be an id
 * @throws HoldlineError `usage`
 */
export function readClaimId({ args }: Pick<Invocation, "args">, read = parseClaimId): string {
  const [lock = "", id = ""] = args;
  if (isClaimId(lock) && !isClaimId(id)) {
    throw new HoldlineError("usage", `the arguments are the wrong way round: ${quoted(lock)} is an id, and comes second`, {
      hint: "the lock's name comes first, and behind it the id",
    });
  }
  return read(id, `first comes the lock's name, then the id that acquire has printed, such as ${ID_EXAMPLE}`);
}

/** How long the lease is to last, in milliseconds: as `--ttl` says, else the configuration. @throws HoldlineError `usage` */
export function readTtl(options: Invocation["options"], { ttlMs }: LockInForce): number {
  return readOption(options, "ttl", (field: Field) => readTtlMs(field), ttlMs ?? DEFAULT_TTL_MS);
}

/** Prints a lease in hand as `--json` gives it. */
export function printLease({ io, perspective }: Pick<Context, "io" | "perspective">, claim: Claim): void {
  printDocument(io, { claim: { ...claimAsJson(viewHolder(claim, perspective)), lock: claim.lock } });
}

/**
 * Sees to it that somebody has the id of a lease that was just taken: where it could not be written, a reader who has gone
 * included, the lease is given back.
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
    throw new HoldlineError("output-lost", `${lost.message}; nor could it be given back: ${messageOf(error)}`, {
      hint: `to let go of it: holdline unlock ${id}`,
      cause: error,
    });
  }
  throw outputLost(failure, `the lease on ${locks.join(", ")} was given back, because its id`);
}

/** Tells that others hold a lock: who, since when and why in words, and the holders' ids for programs. */
export async function tellHeld(
  context: Context,
  coordinator: Coordinator,
  { holders }: Pick<Extract<Acquired, { outcome: "held" }>, "holders">,
  waitMs: number | null,
  /** Which lock, where that does not go without saying: one of several was held. */
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
