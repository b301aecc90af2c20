// The wiring of `copy`: opens both stores by their URLs, without heeding what they say of their moving, and hands them to moving/copy.ts.
import type { Moving } from "./cli/context.js";
import { redactUrl } from "./config/secrets.js";
import type { Settings } from "./config/settings.js";
import { storeOptions } from "./config/store-options.js";
import { missingDatabase, openBare } from "./coordinators/registry.js";
import { HoldlineError } from "./locks/errors.js";
import type { Log } from "./locks/log.js";
import type { Place } from "./moving/place.js";

// However much of it the configuration keeps, what moves is all of it.
const WHOLE_HISTORY = { historyKeep: 1_000_000, historyForMs: Number.POSITIVE_INFINITY, historyTotal: 1_000_000 };

/** @param closers takes what closes the stores again */
export function openMoves(settings: Settings, log: Log, signal: AbortSignal, closers: (() => Promise<void>)[]): Moving {
  const place = async (url: string, isAsFound: boolean): Promise<Place> => {
    const missing = isAsFound ? await missingDatabase(url) : null;
    const [finding] = missing?.findings ?? [];
    if (finding !== undefined) throw new HoldlineError("nothing-there", finding.message);
    const coordinator = await openBare(url, { ...storeOptions(settings, log), ...WHOLE_HISTORY, isAsFound });
    closers.push(() => coordinator.close());
    return { name: redactUrl(url), coordinator };
  };
  const { node, group, principal } = settings;
  return {
    async copy(fromUrl, toUrl) {
      const { copyRoot } = await import("./moving/copy.js");
      const from = await place(fromUrl, true);
      const owner = { node, group, principal, action: null, process: null };
      return copyRoot({ from, to: await place(toUrl, false), owner, log, signal });
    },
    async giveUp(fromUrl) {
      const { giveUpCopy } = await import("./moving/copy.js");
      return giveUpCopy(await place(fromUrl, true));
    },
  };
}
