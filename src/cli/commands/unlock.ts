// `holdline unlock`: ends everything that was locked under an id, on all its hosts.
import { DEFAULT_LOCK, settingsOfLock } from "../../config/locks.js";
import { releaseById } from "../../leases/lease.js";
import type { Released } from "../../leases/lease.js";
import { UnreachableError } from "../../locks/errors.js";
import { parseClaimId } from "../../locks/ids.js";
import type { Command } from "../command.js";
import type { Context } from "../context.js";
import { EXIT_NOTHING_THERE, exitCodeOfReleased } from "../exit-codes.js";
import { printDocument } from "../output.js";
import { sanitize } from "../render.js";

export const unlock: Command = {
  async run(context, { args, options }) {
    const id = parseClaimId(args[0] ?? "", HINT);
    const outcome = await releaseAnywhere(context, id, options["force"] === true);
    if (context.json) printDocument(context.io, { id, outcome });
    if (outcome === "released") context.log.info({ claim: id }, `unlocked all that was locked under ${id}`);
    else if (options["ensureLock"] === true) {
      context.io.stderr.write(`holdline: nothing was locked under ${sanitize(id)}\n`);
      return EXIT_NOTHING_THERE;
    } else context.log.warn({ claim: id }, `nothing is locked under ${id}: nothing was unlocked`);
    return exitCodeOfReleased(outcome);
  },
};

const HINT = "give the id that `holdline lock` printed; `holdline status HOST` shows it";

/** Tries one store after another. A store that cannot be reached does not keep the others from being tried. */
async function releaseAnywhere(context: Context, id: string, force: boolean): Promise<Released> {
  const { settings, stop } = context;
  let unreachable: UnreachableError | null = null;
  for (const lock of oneLockOfEachStore(context)) {
    try {
      const coordinator = await context.coordinator(lock);
      const byFor = (name: string) => settingsOfLock(settings, name).principal;
      const ending = { by: settings.principal, byFor, reason: null, force, signal: stop.signal };
      if ((await releaseById(coordinator, id, ending)) === "released") return "released";
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error;
      unreachable ??= error;
    }
  }
  if (unreachable !== null) throw unreachable;
  return "gone";
}

/** One lock of each store, to open it by; first the store of all locks without their own settings. */
function oneLockOfEachStore({ settings }: Context): Iterable<string> {
  const locks = new Map<string, string>();
  for (const lock of [DEFAULT_LOCK, ...settings.locks.keys()]) {
    const { coordinator } = settingsOfLock(settings, lock);
    if (!locks.has(coordinator)) locks.set(coordinator, lock);
  }
  return locks.values();
}
