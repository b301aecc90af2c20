// One end of a copy: a store's root as the copier sees it, and the one document by which both ends say how far the copy has come.
import type { Coordinator } from "../locks/coordinator.js";
import { HoldlineError } from "../locks/errors.js";
import { decodeFreezesDocument, encodeFreezes, type Freeze, FREEZES_DOCUMENT } from "../locks/freezes.js";
import type { Notice } from "../locks/history.js";
import type { Root } from "../locks/root.js";

/** A store to copy from or to. */
export interface Place {
  /** Its URL without secrets. */
  readonly name: string;
  /** One that does not heed what the root says of itself. */
  readonly coordinator: Coordinator;
}

/** What a root says of itself, as it was read. */
export interface SeenRoot {
  readonly root: Root;
  readonly freezes: readonly Freeze[];
  readonly revision: number;
}

/** @throws HoldlineError `configuration` where that cannot be read */
export async function readRootOf({ name, coordinator }: Place, signal?: AbortSignal): Promise<SeenRoot> {
  const document = await coordinator.document(FREEZES_DOCUMENT, signal);
  const read = decodeFreezesDocument(document?.value ?? null);
  if (read === null) {
    throw new HoldlineError(
      "configuration",
      `the freezes of ${name} cannot be read: another program, or a later holdline, has written them`,
      {
        hint: "update holdline",
      },
    );
  }
  return { ...read, revision: document?.revision ?? 0 };
}

/**
 * Writes what a root says of itself, if that is as it was read.
 * @param notices what the history records in the same transaction
 * @returns how it is now
 * @throws HoldlineError `conflict` when somebody else has written meanwhile
 */
export async function writeRootOf(
  place: Place,
  { revision }: SeenRoot,
  { root, freezes }: Pick<SeenRoot, "root" | "freezes">,
  notices: readonly Notice[],
  signal?: AbortSignal,
): Promise<SeenRoot> {
  const { name, coordinator } = place;
  const outcome = await coordinator.writeDocument(FREEZES_DOCUMENT, encodeFreezes(freezes, root), revision, signal, notices);
  const now = outcome === "done" ? await readRootOf(place, signal) : null;
  if (now === null || JSON.stringify(now.root) !== JSON.stringify(root)) {
    throw new HoldlineError("conflict", `somebody else has changed what ${name} says of its freezes and of its moving`, {
      hint: "see that nobody else freezes, thaws or copies there, and copy again",
    });
  }
  return now;
}
