// The names that a shell completes: actions, locks, hosts, claims and freezes. Somebody is typing meanwhile, so the names come soon or not
// at all, and errors are silent.
import { DEFAULT_LOCK } from "../../config/locks.js";
import { bestEffort } from "../../locks/errors.js";
import { hostLock, hostOfLock, lockNameProblem } from "../../locks/names.js";
import type { Context } from "../context.js";
import { whatIsFrozen } from "../freezes.js";
import { describeClaim } from "../listing.js";
import { claimsOn } from "../../views/lock.js";
import { readAllFreezes } from "../../views/freezes.js";
import { readLocks } from "../../views/queues.js";
import { storesFor } from "../../views/stores.js";
import { sanitize } from "../render.js";
import type { NameKind } from "./grammar.js";

/** A name and its description. */
export interface Name {
  readonly name: string;
  readonly meaning: string;
}

// Longer than a store that answers takes, and short enough that nobody wonders what became of the key.
const PATIENCE_MS = 1_500;

/** The names of a kind, as far as they are known within a moment. @param lock the lock whose claims are wanted; `null` for all */
export async function readNames(context: Context, kind: NameKind, lock: string | null): Promise<readonly Name[]> {
  const found = new Map<string, string>();
  for (const { name, meaning } of declared(context, kind)) found.set(name, meaning);
  const { signal } = context.stop;
  const late = new AbortController();
  const patience = setTimeout(() => late.abort(), PATIENCE_MS);
  const silence = new Promise<never>((_, reject) => {
    const onEnd = (): void => reject(new Error("the store does not answer in time"));
    for (const end of [late.signal, signal]) end.addEventListener("abort", onEnd, { once: true });
  });
  silence.catch(() => undefined);
  await bestEffort(context.log, "no names were read from the store", async () => {
    const names = await Promise.race([present(context, kind, lock, late.signal), silence]);
    for (const { name, meaning } of names) found.set(name, meaning);
  });
  clearTimeout(patience);
  return (
    [...found]
      // Nobody types a name with line breaks or control characters.
      .filter(([name]) => name === sanitize(name))
      .map(([name, meaning]) => ({ name, meaning: sanitize(meaning) }))
      .sort((one, other) => (one.name < other.name ? -1 : 1))
  );
}

/** The names that the configuration has. */
function declared({ settings }: Context, kind: NameKind): readonly Name[] {
  if (kind === "actions") return settings.actions.map(({ name, lock }) => ({ name, meaning: `under the lock ${lock}` }));
  if (kind === "claims" || kind === "freezes") return [];
  const locks = [
    ...settings.actions.map(({ lock }) => lock),
    ...[...settings.locks.keys()].filter((name) => name !== DEFAULT_LOCK),
  ];
  const hosts = [...settings.dependencies].flat(2).map(hostLock);
  return ofKind(kind, kind === "locks" ? locks : [...locks, ...hosts], "declared");
}

/** The names that somebody claims now. */
async function present(context: Context, kind: NameKind, lock: string | null, signal: AbortSignal): Promise<readonly Name[]> {
  if (kind === "actions") return [];
  if (kind === "freezes") return frozen(context, signal);
  if (kind === "claims") {
    const only = lock !== null && lockNameProblem(lock) === null ? lock : null;
    const seen = await readLocks(context, only, signal);
    return seen.flatMap((view) =>
      claimsOn(view)
        .filter(({ durable }) => durable)
        .map((claim) => ({
          name: claim.id,
          meaning: describeClaim(claim, view.now, context.perspective).replace(/ \(claim .*\)$/, ""),
        })),
    );
  }
  const stores = await storesFor(context, null);
  const lists = await Promise.all(
    stores.map(async ({ coordinator, isFor }) => (await coordinator.list(signal)).filter((name) => isFor(name))),
  );
  return ofKind(kind, lists.flat(), "claimed");
}

async function frozen(context: Context, signal: AbortSignal): Promise<readonly Name[]> {
  const { freezes } = await readAllFreezes(context, null, signal);
  return freezes.map((freeze) => ({ name: freeze.id, meaning: `${whatIsFrozen(freeze)}: ${freeze.reason}` }));
}

function ofKind(kind: NameKind, locks: readonly string[], meaning: string): readonly Name[] {
  const hosts = locks.flatMap((lock) => hostOfLock(lock) ?? []);
  const names =
    kind === "hosts" ? hosts : kind === "locks" ? locks : [...hosts, ...locks.filter((lock) => hostOfLock(lock) === null)];
  return names.map((name) => ({ name, meaning }));
}
